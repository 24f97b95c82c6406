"""One person watching one task: the executor's events for speed, the row for truth.

The stream outlives the executor: while that is away the row is looked at, and its stream is taken up again after the
last event. What is told of a task's state is always the row, after what the executor told was applied to it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from enum import Enum, auto
from functools import cached_property, partial
from typing import TypeVar

import grpc
from imagegen.executor.v1 import executor_service_pb2 as executor_pb
from imagegen.executor.v1 import executor_service_pb2_grpc
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import task_pb2

from services.generation.domain import OwnerId, Task, TaskId
from services.generation.executor import snapshot_from
from services.generation.messages import task_to_proto
from services.generation.service import Tasks
from services.runtime.channels import Peer, aio_channel
from services.runtime.errors import DependencyUnavailable, InvalidCursor

OPENING_SECONDS = 0.5
"""How long the executor's first event may take before the row is told instead."""

LOOK_SECONDS = 3.0
"""How late a watcher learns of what no event told: an end, another place in the queue."""

RETRY_SECONDS = 0.3
LONGEST_RETRY_SECONDS = 2.0
"""Between two tries to reach the executor, doubling: each costs a look at the row."""

END = "end"
"""The cursor of every final state: nothing comes after it, whatever became of the executor's log."""

Value = TypeVar("Value")


class Silence(Enum):
    """Why there is no event of the job."""

    QUIET = auto()
    """The executor is there; nothing happened for a while."""
    AWAY = auto()
    """The executor is away, or does not know the job (yet)."""


class Watcher:
    """Opens watches. Belongs to one event loop."""

    def __init__(self, tasks: Tasks, executor_address: str, peer: Peer) -> None:
        self._tasks = tasks
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
        told: Task | None = None
        task = await asyncio.to_thread(self._tasks.get, owner_id, task_id)
        if task.is_finished:
            if cursor != END:
                yield _standing(task, is_snapshot=not cursor)
            return
        async with aclosing(self._job_events(task_id, cursor)) as events:
            async for event in events:
                resume_at, is_snapshot = "", not cursor and told is None
                if isinstance(event, Silence):
                    task = await _until_done(partial(self._tasks.get, owner_id, task_id))
                    if event is Silence.QUIET and told is None and cursor:
                        told = task  # the client's cursor is good: the executor has told what there was
                elif event.HasField("snapshot") or event.HasField("status"):
                    job = event.snapshot if event.HasField("snapshot") else event.status
                    task = await _until_done(partial(self._tasks.take, owner_id, snapshot_from(job)))
                    resume_at = event.cursor
                    is_snapshot = told is None and event.HasField("snapshot")
                else:
                    if told is None or not event.HasField("reset"):
                        yield _passed_on(event)
                    continue
                if told is None or task.is_finished or _is_news(told, task):
                    yield _standing(task, resume_at, is_snapshot=is_snapshot)
                    told = task
                if task.is_finished:
                    return

    async def _job_events(
        self, task_id: TaskId, cursor: str
    ) -> AsyncGenerator[executor_pb.WatchJobResponse | Silence, None]:
        """The job's events across restarts of the executor, for ever, each once.

        Raises InvalidCursor if the cursor that the client came with was never the executor's.
        """
        clients_cursor, patience, retry = cursor, OPENING_SECONDS, RETRY_SECONDS
        while True:
            request = executor_pb.WatchJobRequest(job_id=str(task_id), cursor=cursor)
            call = self._executor.WatchJob(request, metadata=self._peer.metadata())
            reading = asyncio.ensure_future(call.read())
            try:
                while True:
                    # A read that is canceled cancels its call, so it is left waiting instead.
                    await asyncio.wait({reading}, timeout=patience)
                    patience = LOOK_SECONDS
                    if not reading.done():
                        yield Silence.QUIET
                        continue
                    event = reading.result()
                    if not isinstance(event, executor_pb.WatchJobResponse):  # the end of the stream
                        break
                    reading = asyncio.ensure_future(call.read())
                    cursor, retry = event.cursor or cursor, RETRY_SECONDS
                    yield event
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
            retry = min(2 * retry, LONGEST_RETRY_SECONDS)


async def _until_done(look: Callable[[], Value]) -> Value:
    """The answer of a blocking look at the row, as soon as the database can give one."""
    while True:
        try:
            return await asyncio.to_thread(look)
        except DependencyUnavailable:
            await asyncio.sleep(LONGEST_RETRY_SECONDS)


def _is_news(told: Task, task: Task) -> bool:
    """Whether a client that was told the one should be told the other."""
    if _stage(told) != _stage(task):
        return True
    if task.live is None:
        return False
    return told.live is None or _place(told) != _place(task)


def _stage(task: Task) -> tuple[object, ...]:
    return task.state, task.job_version, task.cancel_requested_at is None


def _place(task: Task) -> tuple[object, ...] | None:
    return (task.live.position, task.live.waiting_reason) if task.live else None


def _standing(task: Task, cursor: str = "", *, is_snapshot: bool) -> pb.WatchTaskResponse:
    message, cursor = task_to_proto(task), END if task.is_finished else cursor
    if is_snapshot:
        return pb.WatchTaskResponse(cursor=cursor, snapshot=message)
    return pb.WatchTaskResponse(cursor=cursor, status=message)


def _passed_on(event: executor_pb.WatchJobResponse) -> pb.WatchTaskResponse:
    """Progress, preview or reset, in this contract's words."""
    match event.WhichOneof("event"):
        case "progress":
            progress = task_pb2.Progress(step=event.progress.step, steps=event.progress.steps)
            return pb.WatchTaskResponse(cursor=event.cursor, progress=progress)
        case "preview":
            preview = pb.Preview(media_type=event.preview.media_type, image=event.preview.image)
            return pb.WatchTaskResponse(cursor=event.cursor, preview=preview)
        case _:
            return pb.WatchTaskResponse(cursor=event.cursor, reset=pb.Reset())
