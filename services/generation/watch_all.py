"""One person watching all of their tasks: what was missed, how everything stands, and then what happens to any of them.

What was missed is read from the executor's log task by task, as far as the feed has come, and is told before the rest,
so the events of each task stay in order. What cannot be read any more is replaced by how things stand.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from datetime import datetime, timedelta
from uuid import UUID

from imagegen.generation.v1 import generation_service_pb2 as pb

from services.generation.domain import OwnerId, Task, TaskId
from services.generation.feeds import Feed, Feeds, Standing, in_all
from services.generation.mailbox import Mailbox
from services.generation.messages import task_to_proto
from services.generation.places import Place
from services.generation.service import Tasks
from services.generation.watch import Watcher

MARGIN = timedelta(seconds=30)
"""Ends are dated by other clocks than places in the log: an end so long before the cursor is told once more."""

ENDED_TOLD = 100
"""Who has missed more ends than this reads the history."""

REPLAY_SECONDS = 5.0
"""For what was missed of one task. The log is in the executor's memory; what takes longer is not there."""


class CannotResume(Exception):
    """What came after the cursor can no longer be told, or not now."""


class AllWatcher:
    """Opens watches. Belongs to one event loop."""

    def __init__(self, tasks: Tasks, watcher: Watcher, clock: Callable[[], datetime]) -> None:
        self._tasks = tasks
        self._watcher = watcher
        self._feeds = Feeds(tasks, watcher, clock)

    async def watch(self, owner_id: OwnerId, cursor: str) -> AsyncGenerator[pb.WatchTasksResponse, None]:
        """What happens to the owner's tasks, for ever.

        Raises InvalidCursor, TooManyStreams or DependencyUnavailable.
        """
        asked = Place.of(cursor) if cursor else None
        async with self._feeds.subscribed(owner_id) as (feed, mailbox):
            if asked is not None:
                await feed.find_places()
            standing, caught_up = _begin(feed, mailbox)
            if asked is not None:
                try:
                    async with aclosing(self._missed(owner_id, asked, standing)) as missed:
                        async for message in missed:
                            yield message
                except CannotResume:
                    yield pb.WatchTasksResponse(reset=pb.Reset())
            while True:
                for message in _told(standing, caught_up):
                    yield message
                while (event := await mailbox.next()) is not None:
                    yield event
                standing, caught_up = _begin(feed, mailbox)
                yield pb.WatchTasksResponse(reset=pb.Reset())

    async def _missed(
        self, owner_id: OwnerId, asked: Place, standing: list[Standing]
    ) -> AsyncGenerator[pb.WatchTasksResponse, None]:
        """What happened from the cursor to how things stand. Raises CannotResume."""
        ended = await asyncio.to_thread(self._tasks.ended, owner_id, asked.moment - MARGIN, ENDED_TOLD + 1)
        begun = [each for each in standing if asked.log and each.task.HasField("start_time")]
        if len(ended) > ENDED_TOLD or any(each.place is None or each.place.log != asked.log for each in begun):
            raise CannotResume
        unfinished = {each.task.id for each in standing}
        for task in ended:
            if str(task.id) not in unfinished:
                for message in await self._missed_of(task, asked):
                    yield message
        for each in begun:
            if each.place and asked.is_before(each.place):
                for message in await self._replayed(owner_id, TaskId(UUID(each.task.id)), asked, each.place):
                    yield message

    async def _missed_of(self, ended: Task, asked: Place) -> list[pb.WatchTasksResponse]:
        """To its end, with what came before that as far as it can be had."""
        if asked.log and ended.started_at:
            try:
                return await self._replayed(ended.owner_id, ended.id, asked, None)
            except CannotResume:
                pass
        return [pb.WatchTasksResponse(task_id=str(ended.id), status=task_to_proto(ended))]

    async def _replayed(
        self, owner_id: OwnerId, task_id: TaskId, after: Place, until: Place | None
    ) -> list[pb.WatchTasksResponse]:
        """One task's events from one place to another, or to its end. Raises CannotResume."""
        events: list[pb.WatchTasksResponse] = []
        try:
            async with (
                asyncio.timeout(REPLAY_SECONDS),
                aclosing(self._watcher.follow(owner_id, task_id, after.cursor, with_places=True)) as told,
            ):
                async for message, cursor in told:
                    reached = Place.of(cursor) if cursor else None
                    if until and reached and until.is_before(reached):
                        break
                    if message and message.HasField("reset"):
                        raise CannotResume
                    if message and not message.HasField("preview"):
                        events.append(in_all(task_id, message))
                    if reached == until and until:
                        break
        except TimeoutError as error:
            raise CannotResume from error
        return events


def _begin(feed: Feed, mailbox: Mailbox) -> tuple[list[Standing], pb.WatchTasksResponse]:
    """How things stand; the mailbox keeps what happens from here on."""
    mailbox.clear()
    place = feed.place()
    caught_up = pb.WatchTasksResponse(cursor=place.cursor if place else "", caught_up=pb.CaughtUp())
    return feed.standing(), caught_up


def _told(standing: list[Standing], caught_up: pb.WatchTasksResponse) -> Iterator[pb.WatchTasksResponse]:
    for each in standing:
        yield from each.messages()
    yield caught_up
