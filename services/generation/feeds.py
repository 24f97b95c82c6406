"""Everything that happens to the tasks of those who watch them all, once in this process for all of their streams.

A feed holds one person's unfinished tasks, each followed over one watch. One query tells from time to time which tasks
are new, whichever replica made them. How far a feed has told is the place of that task which is the furthest behind.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import task_pb2

from services.generation.domain import OwnerId, TaskId, TaskNotFound, TooManyStreams
from services.generation.mailbox import Mailbox
from services.generation.places import Place
from services.generation.service import Tasks
from services.generation.watch import RETRY_SECONDS, Watcher
from services.runtime.errors import DependencyUnavailable
from services.runtime.logs import describe

log = structlog.get_logger()

STREAMS = 32
"""Of one person in one process: some devices and tabs, each with some connections that nobody has found dead yet."""

LOOK_SECONDS = 0.5
"""How late a task is seen that another replica has made."""

RECENT = timedelta(seconds=30)
"""A task may be made and end between two looks. It is seen for so long, however far the replicas' clocks are apart."""

PLACE_SECONDS = 3.0
"""How long who resumes waits for an executor that is away."""

LOOKS_GOOD_FOR = 10.0
"""Seconds. What was made and ended since the last look may be in no log: a cursor must not pass it by."""


@dataclass(frozen=True)
class Standing:
    """One unfinished task as it has been told so far. `place` None: the log's is not known."""

    task: task_pb2.Task
    preview: pb.Preview | None
    place: Place | None

    def messages(self) -> Iterator[pb.WatchTasksResponse]:
        yield pb.WatchTasksResponse(task_id=self.task.id, snapshot=self.task)
        if self.preview is not None:
            yield pb.WatchTasksResponse(task_id=self.task.id, preview=self.preview)


@dataclass(eq=False)
class _Followed:
    task: task_pb2.Task | None = None
    preview: pb.Preview | None = None
    place: Place | None = None
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    has_place: asyncio.Event = field(default_factory=asyncio.Event)
    following: asyncio.Task[None] | None = None

    def come_to(self, place: Place) -> None:
        is_back = self.place is not None and self.place.log == place.log and place.is_before(self.place)
        if place.log and not is_back:
            self.place = place
            self.has_place.set()

    def note(self, message: pb.WatchTaskResponse) -> None:
        match message.WhichOneof("event"):
            case "snapshot" | "status":
                self.task = task_pb2.Task()
                self.task.CopyFrom(message.snapshot if message.HasField("snapshot") else message.status)
                self.preview = None
            case "progress" if self.task:
                self.task.progress.CopyFrom(message.progress)
                self.task.ClearField("waiting_reason")
            case "preview":
                self.preview = message.preview


class Feed:
    """One person's tasks, told to every mailbox."""

    def __init__(self, owner_id: OwnerId, watcher: Watcher) -> None:
        self.mailboxes: set[Mailbox] = set()
        self._owner_id = owner_id
        self._watcher = watcher
        self._followed: dict[TaskId, _Followed] = {}
        self._ended: set[TaskId] = set()
        self._furthest: Place | None = None
        self._told: Place | None = None
        self._looked_at: tuple[float, datetime] | None = None

    def take(self, listed: Collection[tuple[TaskId, bool]], now: datetime) -> None:
        """What a look has found: tasks, and whether they have ended. Of those the first look tells nothing."""
        if self._looked_at is None:
            self._ended = {task_id for task_id, is_finished in listed if is_finished}
        self._looked_at = time.monotonic(), now
        self._ended &= {task_id for task_id, _ in listed}
        for task_id, _ in listed:
            if task_id not in self._ended and task_id not in self._followed:
                self._followed[task_id] = followed = _Followed()
                followed.following = asyncio.create_task(self._follow(task_id, followed))

    async def settle(self) -> None:
        """Returns when everything that has been found has been told of once."""
        for followed in list(self._followed.values()):
            await followed.has_begun.wait()

    async def find_places(self) -> None:
        """Returns when the place in the log of everything that has been begun is known, or cannot be had soon."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PLACE_SECONDS):
                for followed in list(self._followed.values()):
                    if followed.task and followed.task.HasField("start_time"):
                        await followed.has_place.wait()

    def standing(self) -> list[Standing]:
        """Every unfinished task, in the order in which they were made."""
        return [
            Standing(followed.task, followed.preview, followed.place)
            for _, followed in sorted(self._followed.items())
            if followed.task is not None
        ]

    def place(self) -> Place | None:
        """Everything up to there has been told, of every task; None as long as that is not known."""
        if self._looked_at is None or time.monotonic() > self._looked_at[0] + LOOKS_GOOD_FOR:
            return None
        if not self._followed:
            return self._furthest or Place.at(self._looked_at[1])
        places = [followed.place for followed in self._followed.values()]
        known = [place for place in places if place is not None]
        if len(known) < len(places) or len({place.log for place in known}) > 1:
            return None
        return min(known, key=lambda place: (place.milliseconds, place.sequence))

    def close(self) -> None:
        for followed in self._followed.values():
            if followed.following:
                followed.following.cancel()

    async def _follow(self, task_id: TaskId, followed: _Followed) -> None:
        """Tell of one task to its end."""
        try:
            await self._tell_to_its_end(task_id, followed)
        except TaskNotFound:  # the account has been deleted
            self._end(task_id)
        except Exception as error:  # noqa: BLE001 - whatever it was, who watches must not go on without knowing
            self._end(task_id)
            for mailbox in self.mailboxes:
                mailbox.fail(error)
        finally:
            followed.has_begun.set()
            followed.has_place.set()

    async def _tell_to_its_end(self, task_id: TaskId, followed: _Followed) -> None:
        while True:
            try:
                async with aclosing(self._watcher.follow(self._owner_id, task_id, "", with_places=True)) as told:
                    async for message, cursor in told:
                        if cursor:
                            self._come_to(Place.of(cursor), followed)
                        if message is not None:
                            self._tell(task_id, followed, message)
            except DependencyUnavailable:  # before anything was told
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    def _end(self, task_id: TaskId) -> None:
        self._followed.pop(task_id, None)
        self._ended.add(task_id)

    def _come_to(self, place: Place, followed: _Followed) -> None:
        followed.come_to(place)
        furthest = self._furthest
        if place.log and (furthest is None or furthest.log != place.log or furthest.is_before(place)):
            self._furthest = place

    def _tell(self, task_id: TaskId, followed: _Followed, message: pb.WatchTaskResponse) -> None:
        followed.note(message)
        if followed.task and followed.task.HasField("finish_time"):
            self._end(task_id)
        told = in_all(task_id, message)
        if not told.HasField("preview"):  # which may be dropped
            told.cursor = self._new_cursor()
        for mailbox in self.mailboxes:
            mailbox.put(told)
        followed.has_begun.set()

    def _new_cursor(self) -> str:
        """Empty if it has not moved."""
        place = self.place()
        if place is None or place == self._told:
            return ""
        if self._told and self._told.log == place.log and place.is_before(self._told):
            return ""
        self._told = place
        return place.cursor


def in_all(task_id: TaskId, message: pb.WatchTaskResponse) -> pb.WatchTasksResponse:
    """The event of one task among those of all."""
    match message.WhichOneof("event"):
        case "snapshot" | "status":
            task = message.snapshot if message.HasField("snapshot") else message.status
            return pb.WatchTasksResponse(task_id=str(task_id), status=task)
        case "progress":
            return pb.WatchTasksResponse(task_id=str(task_id), progress=message.progress)
        case _:
            return pb.WatchTasksResponse(task_id=str(task_id), preview=message.preview)


class Feeds:
    """The feeds that somebody reads. Belongs to one event loop."""

    def __init__(self, tasks: Tasks, watcher: Watcher, clock: Callable[[], datetime]) -> None:
        self._tasks = tasks
        self._watcher = watcher
        self._clock = clock
        self._feeds: dict[OwnerId, Feed] = {}
        self._looking: asyncio.Task[None] | None = None
        self._one_look = asyncio.Lock()

    @asynccontextmanager
    async def subscribed(self, owner_id: OwnerId) -> AsyncIterator[tuple[Feed, Mailbox]]:
        """The owner's feed, once it knows every task, and a mailbox that it fills.

        Raises TooManyStreams or DependencyUnavailable.
        """
        feed = self._feeds.setdefault(owner_id, Feed(owner_id, self._watcher))
        if len(feed.mailboxes) >= STREAMS:
            raise TooManyStreams(STREAMS)
        mailbox = Mailbox()
        feed.mailboxes.add(mailbox)
        try:
            if self._looking is None:
                self._looking = asyncio.create_task(self._look_for_ever())
            await self._look([owner_id])
            await feed.settle()
            yield feed, mailbox
        finally:
            feed.mailboxes.discard(mailbox)
            if not feed.mailboxes:
                del self._feeds[owner_id]
                feed.close()
            if not self._feeds and self._looking:
                self._looking.cancel()
                self._looking = None

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                with suppress(DependencyUnavailable):
                    await self._look(list(self._feeds))
            except Exception as error:  # noqa: BLE001 - the loop outlives any error of a look
                log.error("look failed", **describe(error))  # noqa: TRY400 - the text may quote a prompt

    async def _look(self, owner_ids: Collection[OwnerId]) -> None:
        """One at a time, so that none is applied after a newer one. Raises DependencyUnavailable."""
        async with self._one_look:
            now = self._clock()
            listed = await asyncio.to_thread(self._tasks.followed, owner_ids, now - RECENT)
            for owner_id in owner_ids:
                if feed := self._feeds.get(owner_id):
                    feed.take([(each.task_id, each.is_finished) for each in listed if each.owner_id == owner_id], now)
