"""What waits to be told to one client, who may read slowly."""

import asyncio
from collections import deque

from imagegen.generation.v1 import generation_service_pb2 as pb

KEPT = 250
"""What a hundred tasks tell in two seconds. A task is a few hundred bytes, or 16 kB with the longest prompts."""


class Mailbox:
    """At most `kept` messages wait. Of a task's previews only the newest does, and all of them go first."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._waiting: deque[pb.WatchTasksResponse] = deque()
        self._news = asyncio.Event()
        self._has_overflowed = False
        self._error: Exception | None = None

    def put(self, message: pb.WatchTasksResponse) -> None:
        if message.HasField("preview"):
            self._drop_previews(message.task_id)
        if len(self._waiting) >= self._kept:
            self._drop_previews()
        if len(self._waiting) >= self._kept:
            self._has_overflowed = True
        if not self._has_overflowed:
            self._waiting.append(message)
        self._news.set()

    def fail(self, error: Exception) -> None:
        """`next` raises it."""
        self._error = error
        self._news.set()

    def clear(self) -> None:
        """From here on everything is kept again."""
        self._waiting.clear()
        self._has_overflowed = False

    async def next(self) -> pb.WatchTasksResponse | None:
        """The next message, once there is one; None: some could not be kept, and all that wait are worth nothing."""
        while not (self._waiting or self._has_overflowed or self._error):
            self._news.clear()
            await self._news.wait()
        if self._error:
            raise self._error
        return None if self._has_overflowed else self._waiting.popleft()

    def _drop_previews(self, task_id: str = "") -> None:
        kept = (each for each in self._waiting if not (each.HasField("preview") and task_id in ("", each.task_id)))
        self._waiting = deque(kept)
