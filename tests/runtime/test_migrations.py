"""Each context's migrations, on a real server."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from services.auth import store as auth
from services.executor import store as executor
from services.generation import store as generation
from services.results import store as results
from services.runtime.migrate import migrate

METADATA = {
    "auth": auth.metadata,
    "executor": executor.metadata,
    "generation": generation.metadata,
    "results": results.metadata,
}


@pytest.mark.parametrize(("context", "metadata"), METADATA.items(), ids=METADATA)
def test_the_migrations_make_the_tables_that_the_store_declares(fresh_database, context, metadata):
    engine = sa.create_engine(sa.make_url(fresh_database(context)).set(drivername="postgresql+psycopg2"))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_migrating_twice_changes_nothing(fresh_database):
    migrate("executor", fresh_database("executor"))


def test_a_migration_fails_rather_than_wait_for_a_table_while_everybody_waits_behind_it(fresh_database):
    url = fresh_database("executor")
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg2"))
    with engine.connect() as busy, busy.begin():
        busy.execute(sa.text("LOCK TABLE alembic_version"))
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            migrate("executor", url, lock_seconds=1)
    migrate("executor", url)
    engine.dispose()
