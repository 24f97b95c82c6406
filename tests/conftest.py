"""Real PostgreSQL, real Valkey and a whole installation for every test that asks.

One of each a session; of PostgreSQL one migrated template a context and one copy of it a test.
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
from tests.installation import Installation, running_installation
from tests.people import Person
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


@pytest.fixture(scope="session")
def installation(tmp_path_factory) -> Iterator[Installation]:
    with running_installation(
        tmp_path_factory.mktemp("installation"),
        SKETCH_STEP_SECONDS="0.05",
        SKETCH_LOAD_SECONDS="0.05",
        EXECUTOR_LEASE_SECONDS="3",
        EXECUTOR_GRACE_SECONDS="5",
        GATEWAY_RATE_LIMIT_PER_USER="0",
        GATEWAY_RATE_LIMIT_PER_ADDRESS="0",
        ENVOY_ACCESS_LOG="1",
    ) as installation:
        yield installation


@pytest.fixture
def sign_up(installation) -> Iterator[Callable[[], Person]]:
    """Register somebody new and sign in."""
    with ExitStack() as people:

        def new_person() -> Person:
            person = Person(installation)
            people.callback(person.http.close)
            return person

        yield new_person


@pytest.fixture
def person(sign_up) -> Person:
    return sign_up()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What could not run here says so, and why: a lone `s` among a thousand dots is not seen."""
    for report in terminalreporter.stats.get("skipped", ()):
        _, _, reason = report.longrepr
        if "NOT RUN" in reason:
            terminalreporter.write_line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")
