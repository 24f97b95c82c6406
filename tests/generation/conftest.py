"""The generation service on a real PostgreSQL, with an executor that does what a test says."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import grpc
import pytest
import sqlalchemy as sa
from imagegen.executor.v1 import executor_service_pb2, executor_service_pb2_grpc
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import generation_service_pb2_grpc, task_pb2

from services.generation.executor import Executor
from services.generation.reconciler import Reconciler
from services.generation.server import generation_server
from services.generation.service import Tasks
from services.generation.storage import Storage
from services.generation.suggestions import load_vocabulary
from services.generation.watch import LOOK_SECONDS, Watcher
from services.generation.watch_all import AllWatcher
from services.runtime.channels import Peer, channel
from services.runtime.database import Database
from services.runtime.protos import from_enum
from tests.generation.executor_stand_in import ExecutorStandIn
from tests.identities import TestAuthority, as_person, identity, verifier
from tests.serving import running

CAP = 20
WAIT = 15.0
"""Seconds that anything may take on a busy machine before a test gives up."""


class Clock:
    """Tells the true time, until a test lets some pass."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, **time: float) -> None:
        self._ahead += timedelta(**time)


class Authority(TestAuthority):
    """That of one process, which hears of a revocation when a test says so."""

    async def follow(self) -> None:
        self._loop = asyncio.get_running_loop()
        await super().follow()

    def revoke(self, sid: UUID) -> None:
        self._loop.call_soon_threadsafe(self.revocations.add, {sid: datetime.now(UTC) + timedelta(minutes=10)})


@dataclass
class Replica:
    """One process of the service. Its reconciler takes steps when a test says so, or by itself once started."""

    stub: generation_service_pb2_grpc.GenerationServiceStub
    tasks: Tasks
    reconciler: Reconciler
    executor: Executor
    channel: grpc.Channel
    authority: Authority

    def submit_waiting(self) -> None:
        """As the outbox' thread does, with the executor known to be there if it is."""
        self.tasks.refresh_catalogue()
        self.reconciler.submit_waiting()


@dataclass
class Watch:
    """What a person sees of one task. Reading gives up after WAIT seconds."""

    call: Iterator[pb.WatchTaskResponse]
    seen: list[pb.WatchTaskResponse] = field(default_factory=list)

    def next(self) -> pb.WatchTaskResponse:
        self.seen.append(next(self.call))
        return self.seen[-1]

    def until(self, kind: str, state: str | None = None) -> pb.WatchTaskResponse:
        """The next event of this kind (and state)."""
        while True:
            event = self.next()
            if event.WhichOneof("event") == kind and (state is None or state_of(getattr(event, kind)) == state):
                return event

    def rest(self) -> list[pb.WatchTaskResponse]:
        """Every event until the stream ends."""
        events = list(self.call)
        self.seen += events
        return events


@dataclass
class WatchOfAll:
    """What a person sees of all of their tasks. Reading gives up after WAIT seconds."""

    call: Iterator[pb.WatchTasksResponse]
    cursor: str = ""

    def next(self) -> pb.WatchTasksResponse:
        event = next(self.call)
        self.cursor = event.cursor or self.cursor
        return event

    def until(self, kind: str, state: str | None = None, task_id: str | None = None) -> list[pb.WatchTasksResponse]:
        """Every event up to the next of this kind (and state, of this task)."""
        seen: list[pb.WatchTasksResponse] = []
        while True:
            seen.append(event := self.next())
            is_it = event.WhichOneof("event") == kind and task_id in (None, event.task_id)
            if is_it and (state is None or state_of(getattr(event, kind)) == state):
                return seen


@dataclass
class World:
    url: str
    engine: sa.Engine
    stand_in: ExecutorStandIn
    stack: ExitStack
    results_address: str = "127.0.0.1:1"
    """Nobody is there, unless a test says who, before it makes a replica."""
    patience: float = WAIT
    """Seconds that results has for an answer."""
    clock: Clock = field(default_factory=Clock)
    me: UUID = field(default_factory=uuid4)
    first: Replica = field(init=False)

    @contextmanager
    def replica(self, look_seconds: float = LOOK_SECONDS) -> Iterator[Replica]:
        """One more process on the same database."""
        database = Database(self.url)
        peer = Peer(identity("generation"), "executor")
        to_executor = channel(self.stand_in.address)
        executor = Executor(to_executor, peer)
        to_results = channel(self.results_address)
        storage = Storage(to_results, Peer(identity("generation"), "results"), self.clock, seconds=self.patience)
        outbox = threading.Event()
        tasks = Tasks(database, executor, storage, outbox, queued_cap=CAP, clock=self.clock)
        reconciler = Reconciler(database, executor, tasks, outbox, self.clock)
        watcher = Watcher(tasks, self.stand_in.address, peer, self.clock, look_seconds)
        all_watcher = AllWatcher(tasks, watcher, self.clock)
        authority = Authority()
        server = generation_server(
            tasks, watcher, all_watcher, load_vocabulary(), verifier("generation", authority), threads=8
        )
        with running(server) as address, grpc.insecure_channel(address) as to_server:
            stub = generation_service_pb2_grpc.GenerationServiceStub(to_server)
            yield Replica(stub, tasks, reconciler, executor, to_executor, authority)
        reconciler.stop()
        database.close()

    def executor_returns(self) -> None:
        """And the first replica is connected to it again."""
        self.stand_in.come()
        stub = executor_service_pb2_grpc.ExecutorServiceStub(self.first.channel)
        stub.ListModels(executor_service_pb2.ListModelsRequest(), wait_for_ready=True, timeout=WAIT)

    @contextmanager
    def database_away(self) -> Iterator[None]:
        """Every connection of the service is cut, and no new one is let in."""
        switch = "UPDATE pg_database SET datallowconn = {} WHERE datname = current_database()"
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
            admin.exec_driver_sql(switch.format("false"))
            admin.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            try:
                yield
            finally:
                admin.exec_driver_sql(switch.format("true"))

    def create(self, owner: UUID | None = None, **fields: object) -> task_pb2.Task:
        return self.created(owner, **fields).task

    def created(self, owner: UUID | None = None, **fields: object) -> pb.CreateTaskResponse:
        request = pb.CreateTaskRequest(**{"prompt": "a lighthouse", "model": "sd15"} | fields)
        return self.first.stub.CreateTask(request, metadata=as_person(owner or self.me), timeout=WAIT)

    def submitted(self, **fields: object) -> str:
        """The id of a new task that the executor has."""
        task_id = self.create(**fields).id
        self.first.submit_waiting()
        assert task_id in self.stand_in.jobs
        return task_id

    def get(self, task_id: str, owner: UUID | None = None) -> task_pb2.Task:
        request = pb.GetTaskRequest(task_id=task_id)
        return self.first.stub.GetTask(request, metadata=as_person(owner or self.me), timeout=WAIT).task

    def listed(self, owner: UUID | None = None, **fields: object) -> pb.ListTasksResponse:
        request = pb.ListTasksRequest(**fields)
        return self.first.stub.ListTasks(request, metadata=as_person(owner or self.me), timeout=WAIT)

    def cancel(self, task_id: str, owner: UUID | None = None) -> task_pb2.Task:
        request = pb.CancelTaskRequest(task_id=task_id)
        return self.first.stub.CancelTask(request, metadata=as_person(owner or self.me), timeout=WAIT).task

    def watch(
        self, task_id: str, cursor: str = "", owner: UUID | None = None, at: Replica | None = None, **claimed: object
    ) -> Watch:
        request = pb.WatchTaskRequest(task_id=task_id, cursor=cursor)
        call = (at or self.first).stub.WatchTask(request, metadata=as_person(owner or self.me, **claimed), timeout=WAIT)
        self.stack.callback(call.cancel)
        return Watch(call)

    def watch_all(
        self, cursor: str = "", owner: UUID | None = None, at: Replica | None = None, **claimed: object
    ) -> WatchOfAll:
        request = pb.WatchTasksRequest(cursor=cursor)
        metadata = as_person(owner or self.me, **claimed)
        call = (at or self.first).stub.WatchTasks(request, metadata=metadata, timeout=WAIT)
        self.stack.callback(call.cancel)
        return WatchOfAll(call)

    def row(self, task_id: str) -> sa.Row:
        with self.engine.begin() as tx:
            return tx.execute(sa.text("SELECT * FROM generation_tasks WHERE id = :id"), {"id": task_id}).one()

    def sql(self, statement: str) -> None:
        with self.engine.begin() as tx:
            tx.execute(sa.text(statement))


@pytest.fixture
def world(fresh_database) -> Iterator[World]:
    """One replica whose catalogue is fetched, and whose reconciler waits for the test."""
    url = fresh_database("generation")
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg2"))
    stand_in = ExecutorStandIn()
    stand_in.come()
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        stack.callback(stand_in.go)
        world = World(url, engine, stand_in, stack)
        world.first = stack.enter_context(world.replica())
        world.first.tasks.refresh_catalogue()
        yield world


def state_of(task: task_pb2.Task) -> str | None:
    return from_enum(task_pb2.TaskState, task.state)


def kinds(events: Iterable[pb.WatchTaskResponse]) -> list[str | None]:
    return [event.WhichOneof("event") for event in events]


def eventually(holds: Callable[[], bool]) -> None:
    """Looks until it holds, for what only the database shows."""
    until = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < until, "it never came about"
        time.sleep(0.02)


@contextmanager
def held(hooks: dict[str, Callable[[], None]], method: str, work: Callable[[], None]) -> Iterator[None]:
    """While the work's first call of that method is held at the executor; the work is done at the end."""
    reached, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        del hooks[method]
        reached.set()
        go_on.wait(WAIT)

    hooks[method] = hold
    working = threading.Thread(target=work)
    working.start()
    assert reached.wait(WAIT)
    try:
        yield
    finally:
        go_on.set()
        working.join(WAIT)


def in_parallel(count: int, work: Callable[[int], object]) -> list[object]:
    """Run the work in so many threads that begin together; what each returned or raised."""
    barrier, results = threading.Barrier(count), [None] * count

    def run(index: int) -> None:
        barrier.wait(WAIT)
        try:
            results[index] = work(index)
        except grpc.RpcError as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * WAIT)
    return results


def shown(events) -> list[tuple[str, str, object]]:
    """(task, kind, state or step) of each event but `caught_up`."""
    told = []
    for event in events:
        match kind := event.WhichOneof("event"):
            case "snapshot" | "status":
                told.append((event.task_id, kind, state_of(getattr(event, kind))))
            case "progress":
                told.append((event.task_id, kind, event.progress.step))
            case "preview":
                told.append((event.task_id, kind, event.preview.image))
            case "reset":
                told.append(("", kind, None))
    return told
