"""What one watching client has been told of its task, and what is to be told next, in this contract's words."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from imagegen.executor.v1 import executor_service_pb2 as executor_pb
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import task_pb2

from services.generation.domain import Live, Task
from services.generation.messages import task_to_proto

HINT_SECONDS = 1.0
"""Between two tellings that only a place or an ETA asks for, at least: a person reads no faster."""

END = "end"
"""The cursor of every final state: nothing comes after it, whatever became of the executor's log."""


class Telling:
    """One client's stream, which came with this cursor."""

    def __init__(self, cursor: str, clock: Callable[[], datetime]) -> None:
        self._resumes = bool(cursor)
        self._clock = clock
        self._cursor = cursor
        self._told: Task | None = None
        self._version = 0
        self._told_at = 0.0

    def begin_where_it_was(self, task: Task) -> None:
        """The log has nothing after the client's cursor: it knows the task, but perhaps an older place and ETA."""
        if self._resumes and self._told is None:
            self._told = replace(task, live=None)

    def event(self, event: executor_pb.WatchJobResponse) -> pb.WatchTaskResponse | None:
        """Progress, a preview, or the reset of a client that came with a cursor; that of the executor's is our own.

        None for a place in the log where nothing happened.
        """
        match event.WhichOneof("event"):
            case "progress":
                progress = task_pb2.Progress(step=event.progress.step, steps=event.progress.steps)
                return pb.WatchTaskResponse(cursor=self._new(event.cursor), progress=progress)
            case "preview":
                preview = pb.Preview(media_type=event.preview.media_type, image=event.preview.image)
                return pb.WatchTaskResponse(preview=preview)
            case "reset":
                return None if self._told else pb.WatchTaskResponse(reset=pb.Reset())
            case _:
                return None

    def logged(self, task: Task, version: int, cursor: str, *, is_snapshot: bool) -> pb.WatchTaskResponse | None:
        """The task as it stood at an event of this version; None if that is no news."""
        is_new = version > self._version
        if not (is_new or self._is_news(task)):
            return None
        self._version = max(self._version, version)
        return self._tell(task, self._new(cursor), is_snapshot=is_snapshot and self._told is None)

    def seen(self, task: Task) -> pb.WatchTaskResponse | None:
        """The task as a look has found it, which nobody can resume from; None if that is no news."""
        if not self._is_news(task):
            return None
        return self._tell(task, "", is_snapshot=self._told is None and not self._resumes)

    def _is_news(self, task: Task) -> bool:
        told = self._told
        if told is None or task.is_finished or _stage(told) != _stage(task):
            return True
        if task.live is None or time.monotonic() < self._told_at + HINT_SECONDS:
            return False
        return task.live.is_news_after(told.live or Live(), self._clock())

    def _tell(self, task: Task, cursor: str, *, is_snapshot: bool) -> pb.WatchTaskResponse:
        self._told, self._told_at = task, time.monotonic()
        message, cursor = task_to_proto(task), END if task.is_finished else cursor
        if is_snapshot:
            return pb.WatchTaskResponse(cursor=cursor, snapshot=message)
        return pb.WatchTaskResponse(cursor=cursor, status=message)

    def _new(self, cursor: str) -> str:
        """No id is told twice: what the executor learnt without an event comes with the one before."""
        if cursor == self._cursor:
            return ""
        self._cursor = cursor
        return cursor


def _stage(task: Task) -> tuple[object, ...]:
    return task.state, task.job_version, task.cancel_requested_at is None
