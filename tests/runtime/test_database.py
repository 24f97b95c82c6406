"""Transactions on a real server, and what is left of them when it is away."""

import pytest
import sqlalchemy as sa

from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable


def test_a_transaction_commits_at_its_end_and_rolls_back_on_an_error(postgres):
    database = Database(postgres("postgres"))
    with database.transaction() as tx:
        tx.execute(sa.text("CREATE TEMP TABLE things (n int)"))
    with pytest.raises(RuntimeError), database.transaction() as tx:
        tx.execute(sa.text("INSERT INTO things VALUES (1)"))
        raise RuntimeError
    with database.transaction() as tx:
        assert tx.execute(sa.text("SELECT count(*) FROM things")).scalar_one() == 0
    database.close()


def test_a_lost_connection_is_unavailable_and_the_next_call_recovers(postgres):
    database = Database(postgres("postgres"))
    with pytest.raises(DependencyUnavailable), database.transaction() as tx:
        tx.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
    with database.transaction() as tx:
        assert tx.execute(sa.text("SELECT 1")).scalar_one() == 1
    database.close()


def test_a_server_that_is_not_there_is_unavailable(ports):
    database = Database("postgresql://nobody@127.0.0.1:1/nowhere")
    with pytest.raises(DependencyUnavailable), database.transaction():
        pass
    database.close()


def test_a_wrong_statement_is_our_own_fault(postgres):
    database = Database(postgres("postgres"))
    with pytest.raises(sa.exc.ProgrammingError), database.transaction() as tx:
        tx.execute(sa.text("SELECT nothing FROM nowhere"))
    database.close()
