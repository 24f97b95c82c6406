"""The previous release's services run against the newest schema: migrations expand, and contract one release later.

What the former code does not know of must not be in its way: nothing that it reads or writes goes away or changes, and
nothing new refuses its rows. A revision may break this only if it says `CONTRACTS`, a sentence on what the previous
release had already stopped using.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

import psycopg2
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from services.runtime.migrate import configuration, migrate

FIRST_RELEASE = {"auth": "0002", "executor": "0003", "generation": "0004", "results": "0007"}
"""The schemas from which on the rule holds. Nothing was released before them: until 0.1.0 is, they may be raised."""

_COLUMNS = sa.text("""
    SELECT table_name, column_name, udt_name, is_nullable = 'YES', column_default IS NOT NULL OR is_identity = 'YES'
    FROM information_schema.columns WHERE table_schema = 'public'
""")
_CONSTRAINTS = sa.text("""
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(c.oid),
        ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey))
    FROM pg_constraint c WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    UNION ALL
    SELECT indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid),
        ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY (indkey))
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = 'public'::regnamespace AND indisunique
""")


@dataclass(frozen=True)
class Column:
    kind: str
    nullable: bool
    filled: bool
    """Whether a row that does not name it gets a value."""


@dataclass(frozen=True)
class Schema:
    """Attributes:
    columns: by table and name.
    refusals: constraints and unique indexes, each as table and definition, with the columns that it looks at.
    """

    columns: dict[tuple[str, str], Column]
    refusals: dict[tuple[str, str], frozenset[str]]


def schema_of(connection: sa.Connection) -> Schema:
    columns = {(table, name): Column(*rest) for table, name, *rest in connection.execute(_COLUMNS)}
    refusals = {
        (table, definition): frozenset(names) for table, _, definition, names in connection.execute(_CONSTRAINTS)
    }
    return Schema(columns, refusals)


def broken(before: Schema, after: Schema) -> Iterator[str]:
    """What code that was written for `before` would stumble over in `after`."""
    tables = {table for table, _ in before.columns}
    for (table, name), column in before.columns.items():
        now = after.columns.get((table, name))
        if now is None:
            yield f"{table}.{name} is gone"
        elif now.kind != column.kind:
            yield f"{table}.{name} was {column.kind} and is {now.kind}"
        elif column.nullable and not now.nullable:
            yield f"{table}.{name} may not be null any more"
        elif column.filled and not now.filled and not now.nullable:
            yield f"{table}.{name} has lost its default"
    for (table, name), column in after.columns.items():
        if table in tables and (table, name) not in before.columns and not (column.nullable or column.filled):
            yield f"{table}.{name} is new and has no default"
    for (table, definition), names in after.refusals.items():
        known = names and all((table, name) in before.columns for name in names)
        if (table, definition) not in before.refusals and known:
            yield f"{table} refuses more: {definition}"


@pytest.fixture
def empty_database(postgres) -> Iterator[str]:
    """Its URL."""
    name = f"empty_{uuid4().hex}"
    with closing(psycopg2.connect(postgres("postgres"))) as admin, admin.cursor() as cursor:
        admin.autocommit = True
        cursor.execute(f"CREATE DATABASE {name}")
        yield postgres(name).replace("postgresql://", "postgresql+psycopg2://")
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("context", FIRST_RELEASE)
def test_the_release_before_runs_against_every_schema_after_it(empty_database, context):
    url = empty_database
    migrate(context, url, FIRST_RELEASE[context])
    scripts = ScriptDirectory.from_config(configuration(context, url))
    later = list(scripts.iterate_revisions("head", FIRST_RELEASE[context]))[::-1]
    engine = sa.create_engine(url)
    for revision in later:
        with engine.connect() as connection:
            before = schema_of(connection)
        migrate(context, url, revision.revision)
        with engine.connect() as connection:
            after = schema_of(connection)
        if not getattr(revision.module, "CONTRACTS", ""):
            assert list(broken(before, after)) == [], revision.path
    engine.dispose()


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ("ALTER TABLE pictures ADD note text", None),
        ("ALTER TABLE pictures ADD note text NOT NULL DEFAULT '', ADD CHECK (note <> 'x')", None),
        ("CREATE TABLE notes (picture int NOT NULL)", None),
        ("CREATE INDEX ON pictures (title)", None),
        ("ALTER TABLE pictures ALTER id TYPE bigint", "pictures.id was int4 and is int8"),
        ("DROP TABLE pictures", "pictures.id is gone"),
        ("ALTER TABLE pictures RENAME title TO name", "pictures.title is gone"),
        ("ALTER TABLE pictures ADD note text NOT NULL", "pictures.note is new and has no default"),
        ("ALTER TABLE pictures ALTER title SET NOT NULL", "pictures.title may not be null any more"),
        ("ALTER TABLE pictures ALTER marked DROP DEFAULT", "pictures.marked has lost its default"),
        ("CREATE UNIQUE INDEX ON pictures (title)", "pictures refuses more: CREATE UNIQUE INDEX"),
        ("ALTER TABLE pictures ADD CHECK (title <> '')", "pictures refuses more: CHECK"),
    ],
)
def test_what_would_break_the_release_before_is_told(empty_database, change, objection):
    engine = sa.create_engine(empty_database)
    with engine.connect() as connection:
        connection.execute(
            sa.text("CREATE TABLE pictures (id int PRIMARY KEY, title text, marked bool NOT NULL DEFAULT false)")
        )
        before = schema_of(connection)
        connection.execute(sa.text(change))
        told = list(broken(before, schema_of(connection)))
    engine.dispose()
    assert (told == []) if objection is None else any(sentence.startswith(objection) for sentence in told), told
