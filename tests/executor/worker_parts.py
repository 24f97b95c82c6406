"""The parts of a worker in this process, without slots and bells: each step is the test's to take."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import grpc
import httpx

from services.executor.bell import Bell, celery_app
from services.executor.domain import EngineId, Job
from services.executor.engine.comfyui import ComfyUI
from services.executor.events import Publisher
from services.executor.scheduling.claims import Claims
from services.executor.scheduling.learning import Learning
from services.executor.scheduling.ledger import Ledger
from services.executor.worker.attempt import Painter
from services.executor.worker.leases import LeaseKeeper
from services.executor.worker.pictures import PictureStore
from services.executor.worker.registration import Registration
from services.executor.worker.runs import Runs
from services.runtime.channels import Peer
from services.runtime.database import Database
from tests.executor.conftest import FOLDER
from tests.identities import identity

LEASE = timedelta(seconds=3)
MAX_ATTEMPTS = 4


@dataclass
class Parts:
    engine_id: EngineId
    url: str
    engine: ComfyUI
    registration: Registration
    runs: Runs
    leases: LeaseKeeper
    painter: Painter
    claims: Claims

    def claim(self, model: str = "sd15") -> Job | None:
        return self.claims.claim(frozenset({model}), loaded=model, ahead=False)

    def run_ids(self) -> list[str]:
        """The ids of the prompts that the engine holds or remembers."""
        return [job["id"] for job in httpx.get(f"{self.url}/api/jobs").json()["jobs"]]


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def worker_parts(
    *,
    database_url: str,
    redis_url: str,
    results_address: str,
    comfyui_url: str,
    engine_id: EngineId | None = None,
    lease: timedelta = LEASE,
    renews: bool = True,
    clock: Callable[[], datetime] = now,
    folder: Any = FOLDER,
) -> Iterator[Parts]:
    """A worker of one engine. One that does not renew never learns either that its lease is lost."""
    engine_id = engine_id or EngineId(uuid4())
    with ExitStack() as stack:
        database = stack.enter_context(closing(Database(database_url)))
        engine = stack.enter_context(closing(ComfyUI(comfyui_url, stall=2)))
        engine.start()
        publisher = stack.enter_context(closing(Publisher(redis_url)))
        bell = stack.enter_context(closing(Bell(celery_app(redis_url))))
        channel = stack.enter_context(grpc.insecure_channel(results_address))
        ledger, learning = Ledger(None), Learning(database, folder)
        registration = Registration(engine_id, engine, folder, database, clock)
        runs = Runs(engine, database)
        leases = LeaseKeeper(database, lease, timedelta(minutes=1), clock, runs.interrupt)
        painter = Painter(
            engine=engine,
            runs=runs,
            folder=folder,
            pictures=PictureStore(channel, Peer(identity("worker"), "results")),
            database=database,
            ledger=ledger,
            leases=leases,
            learning=learning,
            registration=registration,
            publisher=publisher,
            bell=bell,
            max_attempts=MAX_ATTEMPTS,
            clock=clock,
        )
        claims = Claims(
            engine_id, database=database, ledger=ledger, estimates=learning.estimates, lease=lease, clock=clock
        )
        if renews:
            leases.start()
            stack.callback(leases.stop)
        yield Parts(engine_id, comfyui_url, engine, registration, runs, leases, painter, claims)


def until(condition: Callable[[], object]) -> None:
    """Wait for a state that is bound to come."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def in_thread(action: Callable[[], Any]) -> Callable[[], Any]:
    """Begin an action in the background; returns a function that waits for its result."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(action)
    pool.shutdown(wait=False)
    return partial(future.result, 60)
