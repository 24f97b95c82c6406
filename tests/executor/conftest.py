"""An executor server in process, on real PostgreSQL and real Valkey."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
import pytest
from imagegen.executor.v1 import executor_service_pb2_grpc

from services.executor import store
from services.executor.bell import Bell, celery_app
from services.executor.domain import Worker
from services.executor.engine.workflows import load_models
from services.executor.events import EventLog, Publisher
from services.executor.server import executor_server
from services.executor.service import Executor
from services.executor.settings import ServerSettings
from services.runtime.database import Database
from tests.executor.builders import ENGINE
from tests.identities import verifier
from tests.serving import running

MODELS = load_models(ServerSettings.model_fields["models_dir"].default)


@dataclass
class RunningExecutor:
    address: str
    stub: executor_service_pb2_grpc.ExecutorServiceStub
    database: Database
    executor: Executor
    publisher: Publisher


@pytest.fixture
def database(fresh_database) -> Iterator[Database]:
    database = Database(fresh_database("executor"))
    yield database
    database.close()


@pytest.fixture
def register_worker(database) -> Callable[..., None]:
    """Report a worker that has those models."""

    def register(*models: str, healthy: bool = True, seen_at: datetime | None = None) -> None:
        worker = Worker(ENGINE, frozenset(models), "0.33.0", "test", 0, healthy, seen_at or datetime.now(UTC))
        with database.transaction() as tx:
            store.save_worker(tx, worker)

    return register


@contextmanager
def serving(database: Database, redis_url: str) -> Iterator[RunningExecutor]:
    """One replica of the server."""
    publisher, bell = Publisher(redis_url), Bell(celery_app(redis_url))
    executor = Executor(database, MODELS, publisher, bell, lambda: datetime.now(UTC))
    log = EventLog(redis_url)
    server = executor_server(executor, log, verifier("executor"), threads=database.connections)
    with running(server, log.follow()) as address, grpc.insecure_channel(address) as channel:
        stub = executor_service_pb2_grpc.ExecutorServiceStub(channel)
        yield RunningExecutor(address, stub, database, executor, publisher)
    bell.close()
    publisher.close()


@pytest.fixture
def executor(database, redis_url) -> Iterator[RunningExecutor]:
    with serving(database, redis_url) as running_executor:
        yield running_executor
