"""The log of what happens to jobs: written by workers and servers, followed by every server.

Two Redis streams: `EVENTS` holds status and progress, `PREVIEWS` the newest pictures in the making. Each server
keeps a copy in memory and answers its watchers from that, over one connection however many they are. The log is
made of hints: when Redis is away nothing is written and nobody waits for it.
"""

import asyncio
import contextlib
import itertools
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import redis
import structlog
from imagegen.executor.v1 import executor_service_pb2 as pb
from imagegen.executor.v1 import job_pb2
from redis import asyncio as aioredis

from services.executor.domain import JobId

log = structlog.get_logger()

EVENTS = "imagegen:executor:events"
PREVIEWS = "imagegen:executor:previews"
INCARNATION = "imagegen:executor:incarnation"

EVENTS_KEPT = 20_000
"""About 200 bytes each: 4 MB in Redis and in each server; an hour of 100 busy GPUs at one step a second is more."""
PREVIEWS_KEPT = 64
"""About 40 kB each. A preview is worth something for a second or two."""
PREVIEWS_SECONDS = 60
"""No picture in the making stays longer than this, whether or not newer ones come: its owner may want it gone."""
PUBLISH_TIMEOUT_SECONDS = 0.5
PAUSE_AFTER_FAILURE_SECONDS = 1.0
READ_AT_ONCE = 500
SETTLE_SECONDS = 1.0
"""How long a watcher waits for a server that has just started to read the log: 20,000 events take less."""
BLOCK_SECONDS = 5
"""One read of a quiet log takes this long; a Redis that is silent for twice as long is frozen."""

_APPEND = """
local incarnation = redis.call('GET', KEYS[2])
if not incarnation then
    incarnation = ARGV[1]
    redis.call('SET', KEYS[2], incarnation)
end
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], '*', 'i', incarnation, 'j', ARGV[3], 'e', ARGV[4], 'p', ARGV[5])
if ARGV[6] then
    redis.call('XTRIM', KEYS[1], 'MINID', (redis.call('TIME')[1] - ARGV[6]) * 1000)
    redis.call('EXPIRE', KEYS[1], ARGV[6])
end
"""


class Publisher:
    """Appends to the log; never raises and never holds its caller up for long."""

    def __init__(self, redis_url: str) -> None:
        self._redis = redis.Redis.from_url(
            redis_url,
            socket_timeout=PUBLISH_TIMEOUT_SECONDS,
            socket_connect_timeout=PUBLISH_TIMEOUT_SECONDS,
            retry=None,
        )
        self._append = self._redis.register_script(_APPEND)
        self._resume_at = 0.0

    def status(self, job: job_pb2.Job, epoch: int) -> None:
        """A job changed its state. The log does not say whose it is: nobody could delete that from it."""
        message = pb.WatchJobResponse(status=job)
        message.status.ClearField("owner_id")
        self._publish(EVENTS, EVENTS_KEPT, job.id, epoch, message)

    def progress(self, job_id: JobId, epoch: int, step: int, steps: int) -> None:
        message = pb.WatchJobResponse(progress=job_pb2.Progress(step=step, steps=steps))
        self._publish(EVENTS, EVENTS_KEPT, str(job_id), epoch, message)

    def preview(self, job_id: JobId, epoch: int, media_type: str, image: bytes) -> None:
        message = pb.WatchJobResponse(preview=pb.Preview(media_type=media_type, image=image))
        self._publish(PREVIEWS, PREVIEWS_KEPT, str(job_id), epoch, message, PREVIEWS_SECONDS)

    def close(self) -> None:
        self._redis.close()

    def _publish(
        self, stream: str, kept: int, job_id: str, epoch: int, message: pb.WatchJobResponse, *seconds: int
    ) -> None:
        if time.monotonic() < self._resume_at:
            return
        try:
            self._append(
                keys=[stream, INCARNATION],
                args=[uuid4().hex, kept, job_id, epoch, message.SerializeToString(), *seconds],
            )
        except redis.RedisError as error:
            self._resume_at = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
            log.warning("event not published", error=type(error).__name__)


Position = tuple[int, int]
"""Place in the log: Redis's stream id, milliseconds and sequence."""

START: Position = (0, 0)


@dataclass(frozen=True)
class Entry:
    """One status or progress of a job, at its place in the log."""

    position: Position
    message: pb.WatchJobResponse


@dataclass
class _JobLog:
    epoch: int = 0
    entries: deque[Entry] = field(default_factory=deque)
    preview: pb.WatchJobResponse | None = None
    preview_number: int = 0
    watchers: set[asyncio.Event] = field(default_factory=set)


class EventLog:
    """This process's copy of the log. Everything but `progress_of` belongs to the event loop."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._incarnation = ""
        self._end: Position = START
        self._trimmed: Position = START
        self._oldest: Position = START
        self._has_caught_up = asyncio.Event()
        self._jobs: dict[str, _JobLog] = defaultdict(_JobLog)
        self._order: deque[str] = deque()
        self._followers: set[Callable[[job_pb2.Job], None]] = set()
        self._preview_numbers = itertools.count(1)

    async def follow(self) -> None:
        """Keep the copy up to date, until this task is canceled."""
        while not _is_canceled():
            try:
                async with aioredis.Redis.from_url(
                    self._url, socket_connect_timeout=1, socket_timeout=2 * BLOCK_SECONDS
                ) as connection:
                    await self._read(connection)
            except Exception as error:  # noqa: BLE001 - whatever it was, the next connection may do better
                if _is_canceled():  # closing a connection may put its own error in the place of the cancellation
                    return
                self._has_caught_up.set()  # with as much as there is without Redis
                log.warning("event log not readable", error=type(error).__name__)
                await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS)

    def progress_of(self, job_id: JobId) -> job_pb2.Progress | None:
        """The newest progress of a job's current attempt. May be called from any thread."""
        job = self._jobs.get(str(job_id))
        if job is None:
            return None
        with contextlib.suppress(RuntimeError):  # the deque grew meanwhile: the next call sees it
            for entry in reversed(job.entries):
                if entry.message.WhichOneof("event") == "status":
                    return None
                return entry.message.progress
        return None

    async def settled(self) -> None:
        """Wait until what the log held when this process started is here, or cannot be had."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._has_caught_up.wait(), SETTLE_SECONDS)

    def cursor(self, position: Position) -> str:
        return f"{self._incarnation}.{position[0]}-{position[1]}"

    def resume(self, cursor: str) -> Position | None:
        """The place that a cursor names; None if the log no longer reaches back to it, or it is of another log.

        Raises ValueError if no log ever made it.
        """
        incarnation, _, place = cursor.partition(".")
        position = _position(place)
        if incarnation != self._incarnation or position < self._trimmed or position > self._end:
            return None
        return position

    @property
    def end(self) -> Position:
        return self._end

    @property
    def incarnation(self) -> str:
        return self._incarnation

    def after(self, job_id: JobId, position: Position) -> list[Entry]:
        """The job's entries after a place, in order."""
        job = self._jobs.get(str(job_id))
        return [entry for entry in job.entries if entry.position > position] if job else []

    def version_at(self, job_id: JobId, position: Position) -> int:
        """The version of the job's last status up to a place; 0 if the log has none."""
        job = self._jobs.get(str(job_id))
        versions = [
            entry.message.status.version
            for entry in (job.entries if job else ())
            if entry.position <= position and entry.message.WhichOneof("event") == "status"
        ]
        return max(versions, default=0)

    def place_of(self, job_id: JobId, version: int) -> Position:
        """Where the log says that the job came to that version or an earlier one; its start if it does not."""
        job = self._jobs.get(str(job_id))
        places = [
            entry.position
            for entry in (job.entries if job else ())
            if entry.message.WhichOneof("event") == "status" and entry.message.status.version <= version
        ]
        return max(places, default=START)

    def preview_after(self, job_id: JobId, number: int) -> tuple[int, pb.WatchJobResponse | None]:
        """The job's newest preview and its number, if that is larger than the one given."""
        job = self._jobs.get(str(job_id))
        if job is None or job.preview is None or job.preview_number <= number:
            return number, None
        return job.preview_number, job.preview

    @contextlib.contextmanager
    def watching(self, job_id: JobId) -> Iterator[asyncio.Event]:
        """An event that is set whenever the job has something new."""
        news = asyncio.Event()
        job = self._jobs[str(job_id)]
        job.watchers.add(news)
        try:
            yield news
        finally:
            job.watchers.discard(news)
            self._drop_if_empty(str(job_id))

    @contextlib.contextmanager
    def following(self, follower: Callable[[job_pb2.Job], None]) -> Iterator[None]:
        """Call back with each job as it changes state."""
        self._followers.add(follower)
        try:
            yield
        finally:
            self._followers.discard(follower)

    async def _read(self, connection: aioredis.Redis) -> None:
        places: dict[Any, Any] = {EVENTS: "0", PREVIEWS: "$"}
        await self._note_what_is_gone(connection)
        if self._end != START:
            places[EVENTS] = f"{self._end[0]}-{self._end[1]}"
        while not _is_canceled():
            block = BLOCK_SECONDS * 1000 if self._has_caught_up.is_set() else None
            answer: Any = await connection.xread(places, count=READ_AT_ONCE, block=block)
            for stream, entries in answer or []:
                name = stream.decode()
                for entry_id, fields in entries:
                    places[name] = entry_id.decode()
                    self._take(name, _position(places[name]), fields)
            if all(len(entries) < READ_AT_ONCE for _, entries in answer or []):
                self._has_caught_up.set()

    async def _note_what_is_gone(self, connection: aioredis.Redis) -> None:
        """What Redis has trimmed that this copy does not have is lost: no cursor from before it can be resumed."""
        try:
            stream = await connection.xinfo_stream(EVENTS)
        except redis.ResponseError:  # nothing was ever written
            return
        oldest = _position(stream["first-entry"][0].decode()) if stream["first-entry"] else START
        if stream.get("entries-added", 0) > stream["length"] and oldest > self._end:
            self._oldest = self._trimmed = oldest

    def _take(self, stream: str, position: Position, fields: dict[bytes, bytes]) -> None:
        if (incarnation := fields[b"i"].decode()) != self._incarnation:
            self._begin(incarnation, position)
        job_id, epoch = fields[b"j"].decode(), int(fields[b"e"])
        job = self._jobs[job_id]
        if epoch >= job.epoch:  # what a worker says after it lost its lease is not told
            message = pb.WatchJobResponse.FromString(fields[b"p"])
            if stream == PREVIEWS:
                job.preview, job.preview_number = message, next(self._preview_numbers)
            else:
                self._append(job_id, job, epoch, Entry(position, message))
            for news in job.watchers:
                news.set()
        if stream == EVENTS:
            self._end = position

    def _append(self, job_id: str, job: _JobLog, epoch: int, entry: Entry) -> None:
        if epoch > job.epoch:
            job.epoch, job.preview = epoch, None
        job.entries.append(entry)
        self._order.append(job_id)
        if entry.message.WhichOneof("event") == "status":
            if entry.message.status.HasField("finish_time"):
                job.preview = None
            for follower in self._followers:
                follower(entry.message.status)
        while len(self._order) > EVENTS_KEPT:
            oldest = self._order.popleft()
            self._trimmed = self._jobs[oldest].entries.popleft().position
            self._drop_if_empty(oldest)

    def _begin(self, incarnation: str, position: Position) -> None:
        """Another log than the one followed so far: Redis was flushed, or replaced."""
        self._incarnation = incarnation
        self._trimmed = self._oldest if self._end == START else position
        self._order.clear()
        for job_id in list(self._jobs):
            job = self._jobs[job_id]
            job.entries.clear()
            job.preview = None
            for news in job.watchers:
                news.set()
            self._drop_if_empty(job_id)

    def _drop_if_empty(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job is not None and not job.entries and not job.watchers:
            del self._jobs[job_id]


def _position(entry_id: str) -> Position:
    """Raises ValueError if it is no id of a Redis stream."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)


def _is_canceled() -> bool:
    """Whether somebody has canceled the current task, though a library may have swallowed that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
