"""An executor server in process, on real PostgreSQL and real Valkey."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from imagegen.executor.v1 import executor_service_pb2_grpc, operator_service_pb2_grpc

from services.executor import store
from services.executor.bell import Bell, celery_app
from services.executor.engine.folder import ModelFolder
from services.executor.events import EventLog, Publisher
from services.executor.expiry import Expiry
from services.executor.operators import Operators
from services.executor.scheduling.learning import Learning
from services.executor.scheduling.ledger import Ledger
from services.executor.scheduling.queue_view import QueueView
from services.executor.server import executor_server
from services.executor.service import Executor
from services.executor.settings import MODELS, Pools
from services.executor.workers import Worker
from services.runtime.database import Database
from services.runtime.tokens import Authority
from tests.executor.builders import ENGINE
from tests.executor.worker_process import RememberingStore, remembering_results
from tests.identities import verifier
from tests.serving import running

FOLDER = ModelFolder(MODELS)


@dataclass
class Clock:
    """The time, or some time ahead of it."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class RunningExecutor:
    address: str
    stub: executor_service_pb2_grpc.ExecutorServiceStub
    operators: operator_service_pb2_grpc.OperatorServiceStub
    database: Database
    executor: Executor
    view: QueueView
    expiry: Expiry
    clock: Clock
    publisher: Publisher


@pytest.fixture
def database_url(fresh_database) -> str:
    return fresh_database("executor")


@pytest.fixture
def database(database_url) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def register_worker(database) -> Callable[..., None]:
    """Report a worker that has those models."""

    def register(*models: str, **reported: object) -> None:
        worker = Worker(**{"engine_id": ENGINE, "models": frozenset(models), "seen_at": datetime.now(UTC), **reported})
        with database.transaction() as tx:
            store.save_worker(tx, worker)

    return register


@contextmanager
def serving(
    database: Database,
    redis_url: str,
    *,
    pools: str = "",
    running_cap: int | None = None,
    folder: ModelFolder = FOLDER,
    authority: Authority | None = None,
) -> Iterator[RunningExecutor]:
    """One replica of the server."""
    now = Clock()
    publisher, bell = Publisher(redis_url), Bell(celery_app(redis_url))
    ledger, learning = Ledger(running_cap), Learning(database, folder)
    executor = Executor(
        database=database,
        folder=folder,
        pools=Pools(pools),
        ledger=ledger,
        estimates=learning.estimates,
        publisher=publisher,
        bell=bell,
        clock=now,
    )
    view = QueueView(database, learning.estimates, lambda: Pools(pools).among(folder.models), now)
    log = EventLog(redis_url)
    operators = Operators(database, ledger, now)
    server = executor_server(
        executor, operators, view, log, verifier("executor", authority), threads=database.connections
    )
    with running(server, log.follow()) as address, grpc.insecure_channel(address) as channel:
        yield RunningExecutor(
            address,
            executor_service_pb2_grpc.ExecutorServiceStub(channel),
            operator_service_pb2_grpc.OperatorServiceStub(channel),
            database,
            executor,
            view,
            Expiry(database=database, folder=folder, ledger=ledger, publisher=publisher, bell=bell, clock=now),
            now,
            publisher,
        )
    bell.close()
    publisher.close()


@pytest.fixture
def executor(database, redis_url) -> Iterator[RunningExecutor]:
    with serving(database, redis_url) as running_executor:
        yield running_executor


@pytest.fixture(scope="module")
def results() -> Iterator[RememberingStore]:
    """The results of a file's tests."""
    with remembering_results() as (_, results):
        yield results
