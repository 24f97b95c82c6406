"""Real PostgreSQL and real Valkey for every test that asks.

One server a session; of PostgreSQL one migrated template a context and one copy of it a test.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
import redis

from deploy.local.ports import reserved_ports
from deploy.local.postgres import Postgres
from services.runtime.migrate import migrate
from tests.valkey_process import ValkeyProcess

FreshDatabase = Callable[[str], str]


@pytest.fixture(scope="session")
def ports() -> Iterator[dict[str, int]]:
    with reserved_ports(["postgres", "valkey"]) as reserved:
        yield reserved


@pytest.fixture(scope="session")
def postgres(ports: dict[str, int]) -> Iterator[Callable[[str], str]]:
    """A running server: database name → its URL, for the superuser."""
    with (
        tempfile.TemporaryDirectory(prefix="imagegen-test-", ignore_cleanup_errors=True) as folder,
        Postgres(Path(folder), ports["postgres"], "postgres", durable=False).running(),
    ):
        yield lambda name: f"postgresql://postgres:postgres@127.0.0.1:{ports['postgres']}/{name}"


@pytest.fixture(scope="session")
def databases(postgres: Callable[[str], str]) -> Iterator[Callable[[], AbstractContextManager[FreshDatabase]]]:
    """Opens a scope in which databases can be made; they are dropped at its end."""
    templates: set[str] = set()
    admin = psycopg2.connect(postgres("postgres"))
    admin.autocommit = True

    @contextmanager
    def scope() -> Iterator[FreshDatabase]:
        with admin.cursor() as cursor, ExitStack() as cleaning:

            def fresh(context: str) -> str:
                if context not in templates:
                    cursor.execute(f"CREATE DATABASE template_{context}")
                    migrate(context, postgres(f"template_{context}"))
                    templates.add(context)
                name = f"{context}_{uuid4().hex}"
                cursor.execute(f"CREATE DATABASE {name} TEMPLATE template_{context} STRATEGY FILE_COPY")
                cleaning.callback(cursor.execute, f"DROP DATABASE {name} WITH (FORCE)")
                return postgres(name)

            yield fresh

    with closing(admin):
        yield scope


@pytest.fixture
def fresh_database(databases: Callable[[], AbstractContextManager[FreshDatabase]]) -> Iterator[FreshDatabase]:
    """Context name → URL of a database of its own with the newest schema and no rows."""
    with databases() as fresh:
        yield fresh


@pytest.fixture(scope="session")
def valkey(ports: dict[str, int]) -> Iterator[str]:
    """URL of a running server."""
    with ValkeyProcess(ports["valkey"]) as server:
        yield server.url


@pytest.fixture
def redis_url(valkey: str) -> str:
    """The server, emptied."""
    with redis.Redis.from_url(valkey) as client:
        client.flushall()
    return valkey
