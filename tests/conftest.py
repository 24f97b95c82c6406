"""Real PostgreSQL, real Valkey and a whole installation for every test that asks.

One of each a session; of PostgreSQL one migrated template a context and one copy of it a test.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
import redis
import trustme
from xdist.scheduler import LoadFileScheduling

from deploy.local.ports import reserved_ports
from deploy.local.postgres import Postgres
from services.auth.passwords import LEAST_MEMORY_KIB
from services.runtime.migrate import migrate
from tests.installation import CLIENT_FILES, UNLIMITED, Installation, running_installation
from tests.people import Person
from tests.valkey_process import ValkeyProcess

FreshDatabase = Callable[[str], str]

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 * 2**30
"""Many times what a run has needed at once."""

TRUSTED = "SSL_CERT_FILE"
"""The variable that names the authorities whom HTTPS clients believe. No test asks the world, and to read the world's
140 authorities costs every httpx.Client 20 ms of a core, twenty times all else that a request does.
"""

GC_THRESHOLD = 10_000
"""New objects between two looks for garbage; Python's own 700 are for programs that are short of memory."""

QUEUES = {
    "people's installation": ("tests/app/", "tests/backup/", "tests/doors/", "tests/e2e/"),
    "attackers' installation": (
        "tests/chaos/",
        "tests/deploy/test_tls.py",
        "tests/rolling/",
        "tests/security/",
        "tests/traces/",
    ),
}


STARTED = pytest.StashKey[ExitStack]()
"""What ends with the last test of the queues."""


def pytest_configure(config: pytest.Config) -> None:
    """Temporary folders are in memory where there is plenty: the files of a database are copied for most tests, which
    costs ten times as much on a disk's file system.
    """
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
    config.stash[STARTED] = ExitStack()
    config.add_cleanup(config.stash[STARTED].close)
    if CLIENT_FILES not in os.environ:  # the processes of this run inherit it all
        shared = Path(tempfile.mkdtemp(prefix="imagegen-shared-"))
        config.add_cleanup(lambda: shutil.rmtree(shared))
        os.environ[CLIENT_FILES] = str(shared / "client")
        os.environ[TRUSTED] = str(shared / "authority.pem")
        trustme.CA().cert_pem.write_to_path(os.environ[TRUSTED])
        shared.joinpath("client").mkdir()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: looking for garbage in it costs a third of the collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Nor is garbage looked for in it while the tests run, which made a tenth of their work."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def _queue(nodeid: str) -> str | None:
    return next((queue for queue, places in QUEUES.items() if nodeid.startswith(places)), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The queues first, for they take longest."""
    items.sort(key=lambda item: _queue(item.nodeid) is None)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """An installation at rest takes a twentieth of a core from the tests that come after its queue."""
    if nextitem is None or _queue(nextitem.nodeid) is None:
        item.config.stash[STARTED].close()


class Scheduling(LoadFileScheduling):
    """A file goes to one process. What needs a whole installation stands in two queues, each for one process, so that
    no more than two installations run at a time.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _queue(nodeid) or super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Callable[..., None]) -> Scheduling:
    config.option.loadscopereorder = False  # by numbers of tests, which say little about how long they take
    return Scheduling(config, log)


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
    with admin.cursor() as cursor:  # the usual 4,096 iterations of SHA-256 are half the price of a connection
        cursor.execute("SET scram_iterations = 1")
        cursor.execute("ALTER ROLE postgres PASSWORD 'postgres'")

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
def installation(pytestconfig, tmp_path_factory) -> Installation:
    """For the tests of the queues."""
    running = running_installation(
        tmp_path_factory.mktemp("installation"),
        SKETCH_STEP_SECONDS="0.05",
        SKETCH_LOAD_SECONDS="0.05",
        EXECUTOR_LEASE_SECONDS="3",
        EXECUTOR_GRACE_SECONDS="5",
        ENVOY_ACCESS_LOG="1",
        AUTH_PASSWORD_MEMORY_KIB=str(LEAST_MEMORY_KIB),  # nobody steals their hashes, and there are hundreds
        LOG_FORMAT="json",
        **UNLIMITED,
    )
    return pytestconfig.stash[STARTED].enter_context(running)


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
    """The longest times that were measured; and what could not run here, and why: a lone `s` among a thousand dots is
    not seen. A test records a measurement as a property: {what: seconds}.
    """
    longest: dict[str, dict[str, float]] = {}
    for report in (*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())):
        for name, measured in report.user_properties:
            known = longest.setdefault(name, {})
            known |= {what: max(seconds, known.get(what, 0)) for what, seconds in measured.items()}
    for name, measured in longest.items():
        told = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in measured.items())
        terminalreporter.write_line(f"{name}: {told}")
    for report in terminalreporter.stats.get("skipped", ()):
        _, _, reason = report.longrepr
        if "NOT RUN" in reason:
            terminalreporter.write_line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")
