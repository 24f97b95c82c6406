"""The embedded PostgreSQL keeps what it is given, and each context's role to its own database."""

import psycopg2
import pytest

from deploy.local.ports import reserved_ports
from deploy.local.postgres import Postgres, PostgresError

REFUSED = psycopg2.OperationalError


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with reserved_ports(["postgres"]) as ports:
        server = Postgres(tmp_path_factory.mktemp("postgres"), ports["postgres"], "the superuser's", durable=False)
        with server.running():
            server.create_database("auth", "password of auth")
            server.create_database("results", "password of results")
            yield server


def connect(url):
    connection = psycopg2.connect(url)
    connection.autocommit = True
    return connection


def query(url, statement):
    connection = connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_a_role_owns_its_database(server):
    url = server.url("auth", "password of auth")
    query(url, "CREATE TABLE users (id uuid PRIMARY KEY DEFAULT uuidv7())")
    assert query(url, "SELECT * FROM users") == []


@pytest.mark.parametrize("database", ["results", "postgres", "template1"])
def test_a_role_may_connect_to_no_other_database(server, database):
    url = server.url("auth", "password of auth").rpartition("/")[0] + f"/{database}"
    with pytest.raises(REFUSED, match="permission denied for database"):
        connect(url)


def test_a_wrong_password_is_refused(server):
    with pytest.raises(REFUSED, match="password authentication failed"):
        connect(server.url("auth", "password of results"))


def test_creating_a_database_again_changes_nothing(server):
    url = server.url("results", "password of results")
    query(url, "CREATE TABLE results (id int)")
    server.create_database("results", "password of results")
    assert query(url, "SELECT * FROM results") == []


def test_a_server_that_is_not_durable_does_not_sync(server):
    assert query(server.url("postgres", "the superuser's"), "SHOW fsync") == [("off",)]


def test_a_durable_server_syncs_and_keeps_its_rows_from_run_to_run(tmp_path):
    with reserved_ports(["postgres"]) as ports:
        server = Postgres(tmp_path, ports["postgres"], "the superuser's")
        url = server.url("postgres", "the superuser's")
        with server.running():
            assert query(url, "SHOW fsync") == [("on",)]
            query(url, "CREATE TABLE kept AS SELECT 7 AS number")
        with server.running():
            assert query(url, "SELECT number FROM kept") == [(7,)]


def test_an_interrupted_first_start_is_begun_again(tmp_path):
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("half")
    with reserved_ports(["postgres"]) as ports:
        server = Postgres(tmp_path, ports["postgres"], "the superuser's", durable=False)
        with server.running():
            assert query(server.url("postgres", "the superuser's"), "SELECT 1") == [(1,)]


def test_a_server_that_is_away_says_so(tmp_path):
    with reserved_ports(["postgres"]) as ports, pytest.raises(PostgresError, match="Connection refused"):
        Postgres(tmp_path, ports["postgres"], "the superuser's").create_database("auth", "password")
