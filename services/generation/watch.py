"""One person watching one task: the executor's log event by event, the row for what no event told.

The stream outlives the executor: while that is away the row is looked at, and its stream is taken up again after the
last event. An event is applied to the row before it is told, so who has seen it reads nothing older. The row may know
more than the event: what is told is then the task as it stood at the event, or a client that resumes would miss what
lies between. What only looks tell carries no id: there is nothing in the log to resume from.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from enum import Enum, auto
from functools import cached_property, partial
from typing import NamedTuple, TypeVar

import grpc
from imagegen.executor.v1 import executor_service_pb2 as executor_pb
from imagegen.executor.v1 import executor_service_pb2_grpc
from imagegen.generation.v1 import generation_service_pb2 as pb

from services.generation.domain import OwnerId, TaskId
from services.generation.executor import snapshot_from
from services.generation.service import Tasks
from services.generation.telling import END, Telling
from services.runtime.channels import Peer, aio_channel
from services.runtime.errors import DependencyUnavailable, InvalidCursor

OPENING_SECONDS = 0.5
"""How long the executor's snapshot may take before the row is told instead."""

LOOK_SECONDS = 3.0
"""How late a watcher learns of what no event told: an end, another place in the queue."""

RETRY_SECONDS = 0.3
LONGEST_RETRY_SECONDS = 2.0
"""Between two tries to reach the executor, doubling: each costs a look at the row."""

Value = TypeVar("Value")


class Silence(Enum):
    """Why there is no event of the job."""

    QUIET = auto()
    """The executor is there; nothing happened for a while."""
    AWAY = auto()
    """The executor is away, or does not know the job (yet)."""


class Told(NamedTuple):
    """What a watcher is told, if anything, and the place in the executor's log that came with it; empty: none did."""

    message: pb.WatchTaskResponse | None
    cursor: str


class Watcher:
    """Opens watches. Belongs to one event loop."""

    def __init__(
        self,
        tasks: Tasks,
        executor_address: str,
        peer: Peer,
        clock: Callable[[], datetime],
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._tasks = tasks
        self._clock = clock
        self._look_seconds = look_seconds
        self._executor_address = executor_address
        self._peer = peer

    @cached_property
    def _executor(self) -> "executor_service_pb2_grpc.ExecutorServiceAsyncStub":
        """Made when first needed: a channel belongs to the loop that runs then."""
        return executor_service_pb2_grpc.ExecutorServiceStub(aio_channel(self._executor_address))

    async def watch(
        self, owner_id: OwnerId, task_id: TaskId, cursor: str
    ) -> AsyncGenerator[pb.WatchTaskResponse, None]:
        """The events of one task, to its end. Raises TaskNotFound or InvalidCursor."""
        async with aclosing(self.follow(owner_id, task_id, cursor)) as told:
            async for message, _ in told:
                if message is not None:
                    yield message

    async def follow(
        self, owner_id: OwnerId, task_id: TaskId, cursor: str, *, with_places: bool = False
    ) -> AsyncGenerator[Told, None]:
        """As `watch`; `with_places` also tells how far the log has been read while nothing happens.

        Raises DependencyUnavailable before anything was told, never later.
        """
        telling = Telling(cursor, self._clock)
        row = await asyncio.to_thread(self._tasks.get, owner_id, task_id)
        if row.is_finished and cursor in ("", END):
            if not cursor:
                yield Told(telling.seen(row), "")
            return
        async with aclosing(self._job_events(task_id, cursor, with_places=with_places)) as events:
            async for event in events:
                place, is_over = "", False
                if isinstance(event, Silence):
                    task = await _until_done(partial(self._tasks.get, owner_id, task_id))
                    if event is Silence.QUIET:
                        telling.begin_where_it_was(task)
                    message, is_over = telling.seen(task), task.is_finished
                elif event.HasField("snapshot") or event.HasField("status"):
                    is_snapshot = event.HasField("snapshot")
                    snapshot = snapshot_from(event.snapshot if is_snapshot else event.status)
                    row = await _until_done(partial(self._tasks.take, owner_id, snapshot))
                    task = row.as_of(snapshot, self._clock())
                    message = telling.logged(task, snapshot.version, event.cursor, is_snapshot=is_snapshot)
                    place, is_over = event.cursor, task.is_finished
                else:
                    message, place = telling.event(event), event.cursor
                yield Told(message, place)
                if is_over:
                    return

    async def _job_events(
        self, task_id: TaskId, cursor: str, *, with_places: bool
    ) -> AsyncGenerator[executor_pb.WatchJobResponse | Silence, None]:
        """The job's events across restarts of the executor, for ever, each once.

        Raises InvalidCursor if the cursor that the client came with was never the executor's.
        """
        clients_cursor, retry = cursor, RETRY_SECONDS
        loop = asyncio.get_running_loop()
        quiet_at = loop.time() + (self._look_seconds if cursor else OPENING_SECONDS)  # who resumes has seen the task
        while True:
            request = executor_pb.WatchJobRequest(job_id=str(task_id), cursor=cursor, with_places=with_places)
            call = self._executor.WatchJob(request, metadata=self._peer.metadata())
            reading = asyncio.ensure_future(call.read())
            try:
                while True:
                    # A read that is canceled cancels its call, so it is left waiting instead.
                    await asyncio.wait({reading}, timeout=quiet_at - loop.time())
                    if not reading.done():
                        yield Silence.QUIET
                        quiet_at = loop.time() + self._look_seconds
                        continue
                    event = reading.result()
                    if not isinstance(event, executor_pb.WatchJobResponse):  # the end of the stream
                        break
                    reading = asyncio.ensure_future(call.read())
                    cursor, retry = event.cursor or cursor, RETRY_SECONDS
                    yield event
                    if event.WhichOneof("event"):
                        quiet_at = loop.time() + self._look_seconds
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                    if cursor and cursor == clients_cursor:
                        raise InvalidCursor("cursor") from error
                    cursor = ""
            finally:
                reading.cancel()
                call.cancel()
            yield Silence.AWAY
            await asyncio.sleep(retry)
            quiet_at = loop.time() + self._look_seconds
            retry = min(2 * retry, LONGEST_RETRY_SECONDS)


async def _until_done(look: Callable[[], Value]) -> Value:
    """The answer of a blocking look at the row, as soon as the database can give one."""
    while True:
        try:
            return await asyncio.to_thread(look)
        except DependencyUnavailable:
            await asyncio.sleep(LONGEST_RETRY_SECONDS)
