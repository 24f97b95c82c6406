"""Following jobs: the log for speed, the database for truth."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

from imagegen.executor.v1 import executor_service_pb2 as pb
from imagegen.executor.v1 import job_pb2

from services.executor.domain import JobId, JobNotFound
from services.executor.events import START, EventLog
from services.runtime.errors import DependencyUnavailable, InvalidCursor

LOOK_SECONDS = 2.0
"""How late a watcher learns of a change whose event was lost."""

TRANSITIONS_KEPT = 1000
"""What a follower may lag behind; what it misses it learns by asking."""

ReadJob = Callable[[JobId], job_pb2.Job | None]
"""The job as the database has it now. Blocking."""


class JobWatch:
    """Follows one job for one watcher, who may want to know how far the log has been read."""

    def __init__(self, log: EventLog, read_job: ReadJob, job_id: JobId, *, with_places: bool = False) -> None:
        self._log = log
        self._read_job = read_job
        self._job_id = job_id
        self._with_places = with_places
        self._incarnation = ""
        self._position = START
        self._version = 0
        self._looked_up = 0
        self._preview_number = 0
        self._is_over = False

    async def events(self, cursor: str) -> AsyncIterator[pb.WatchJobResponse]:
        """The job's events, to its end. Raises JobNotFound or InvalidCursor."""
        for event in await self._begin(cursor):
            yield event
        with self._log.watching(self._job_id) as news:
            is_quiet = True
            while not self._is_over:
                news.clear()
                end = self._log.end
                for event in self._new_in_log():
                    yield event
                if self._is_over:
                    break
                self._preview_number, preview = self._log.preview_after(self._job_id, self._preview_number)
                if preview is not None:
                    yield preview
                if is_quiet and self._with_places and self._log.incarnation == self._incarnation:
                    self._position = max(self._position, end)
                    yield pb.WatchJobResponse(cursor=self._log.cursor(self._position))
                try:
                    await asyncio.wait_for(news.wait(), LOOK_SECONDS)
                    is_quiet = False
                except TimeoutError:
                    is_quiet = True
                    for event in await self._new_in_database():
                        yield event

    async def _begin(self, cursor: str) -> list[pb.WatchJobResponse]:
        await self._log.settled()
        self._incarnation, self._position = self._log.incarnation, self._log.end
        try:
            position = self._log.resume(cursor) if cursor else None
        except ValueError as error:
            raise InvalidCursor("cursor") from error
        job = await asyncio.to_thread(self._read_job, self._job_id)
        if job is None:
            raise JobNotFound
        if position is not None:
            self._position = position
            self._version = self._log.version_at(self._job_id, position)
            has_missed_the_end = job.HasField("finish_time") and not self._log.after(self._job_id, position)
            return [self._status(job)] if has_missed_the_end else []
        self._note(job)
        # What the log told while the job was read is in the snapshot.
        self._position = max(self._position, self._log.place_of(self._job_id, job.version))
        snapshot = pb.WatchJobResponse(cursor=self._log.cursor(self._position), snapshot=job)
        return [pb.WatchJobResponse(reset=pb.Reset()), snapshot] if cursor else [snapshot]

    def _new_in_log(self) -> Iterator[pb.WatchJobResponse]:
        if self._log.incarnation != self._incarnation:  # another log: all of it is new
            self._incarnation, self._position = self._log.incarnation, START
        for entry in self._log.after(self._job_id, self._position):
            self._position = entry.position
            if entry.message.WhichOneof("event") == "status":
                # One that a look told before has its place in the log here.
                if entry.message.status.version > self._version or entry.message.status.version == self._looked_up:
                    yield self._status(entry.message.status)
            else:
                yield pb.WatchJobResponse(cursor=self._log.cursor(entry.position), progress=entry.message.progress)

    async def _new_in_database(self) -> list[pb.WatchJobResponse]:
        """A change whose event was lost. A database that is away has nothing new. Raises JobNotFound if it is gone."""
        try:
            job = await asyncio.to_thread(self._read_job, self._job_id)
        except DependencyUnavailable:
            return []
        if job is None:
            raise JobNotFound
        if job.version <= self._version:
            return []
        self._looked_up = job.version
        return [self._status(job)]

    def _status(self, job: job_pb2.Job) -> pb.WatchJobResponse:
        self._note(job)
        return pb.WatchJobResponse(cursor=self._log.cursor(self._position), status=job)

    def _note(self, job: job_pb2.Job) -> None:
        self._version = job.version
        self._is_over = job.HasField("finish_time")


async def watch_transitions(log: EventLog) -> AsyncIterator[pb.WatchTransitionsResponse]:
    """Every job as it changes state, from now on."""
    changed: asyncio.Queue[job_pb2.Job] = asyncio.Queue(TRANSITIONS_KEPT)

    def follower(job: job_pb2.Job) -> None:
        if changed.full():
            changed.get_nowait()
        changed.put_nowait(job)

    with log.following(follower):
        while True:
            yield pb.WatchTransitionsResponse(job=await changed.get())
