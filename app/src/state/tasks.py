"""A person's tasks: those that are being painted, wherever they were asked for, and those that have just ended."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import flet as ft

from api.client import Client
from api.events import CaughtUp, Changed, Event, Lost, Missed, Previewed, Progressed
from api.problems import ApiError
from api.resources import Progress, Task
from state.complaints import Complaint


@dataclass(eq=False)
class FollowedTask(ft.Observable):
    """Attributes:
    preview: the picture so far.
    is_lost: the connection is broken and will be taken up again.
    complaint: why it cannot be read or canceled.
    """

    client: Client
    task: Task
    preview: bytes | None = None
    is_lost: bool = False
    complaint: Complaint | None = None

    def change(self, task: Task) -> None:
        """What has ended stays as it is: a stream that resumes may tell of what was before."""
        if task.has_ended or not self.task.has_ended:
            self.task = task

    def progress(self, progress: Progress) -> None:
        if not self.task.has_ended:
            self.task = replace(self.task, progress=progress, waiting_reason=None)

    async def look(self) -> None:
        """Reads how it stands."""
        self.complaint = None
        try:
            self.change(await self.client.task(self.task.id))
        except ApiError as error:
            self.complaint = Complaint.about(error)

    async def cancel(self) -> None:
        self.complaint = None
        try:
            self.change(await self.client.cancel(self.task.id))
        except ApiError as error:
            self.complaint = Complaint.about(error)


@dataclass(eq=False)
class Tasks(ft.Observable):
    """Newest first, over one stream. `when_completed` hears of each task that ends with pictures, `when_caught_up` each
    time that the server is there and has told how everything stands.

    A task that had ended before anybody here knew of it is not listed: its pictures are.
    """

    client: Client
    when_completed: Callable[[Task], None]
    when_caught_up: Callable[[], None] = lambda: None
    followed: list[FollowedTask] = field(default_factory=list)
    complaint: Complaint | None = None
    is_loading: bool = False
    _following: asyncio.Task[None] | None = field(default=None, init=False, repr=False)
    _has_begun: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)
    _told: set[str] = field(default_factory=set, init=False, repr=False)
    _unlisted: dict[str, Task] = field(default_factory=dict, init=False, repr=False)

    async def load(self) -> None:
        """Takes up what is unfinished from another visit or another device, and follows everything from then on."""
        self.is_loading, self.complaint = True, None
        if self._following is not None:
            self._following.cancel()
        self._has_begun = asyncio.Event()
        self._following = asyncio.create_task(self._follow(self._has_begun))
        await self._has_begun.wait()
        self.is_loading = False

    def add(self, task: Task) -> None:
        """One that has been asked for here; its end may have been told before."""
        if self._find(task.id) is None:
            self.followed.insert(0, FollowedTask(self.client, self._unlisted.pop(task.id, task)))

    def dismiss(self, followed: FollowedTask) -> None:
        """Takes one that has ended off the list."""
        self.followed.remove(followed)
        self._unlisted[followed.task.id] = followed.task

    def stop(self) -> None:
        """Lets go of everything: the person or the session has gone."""
        if self._following is not None:
            self._following.cancel()
            self._following = None
        self._has_begun.set()
        self.followed.clear()
        self._unlisted.clear()

    async def _follow(self, has_begun: asyncio.Event) -> None:
        self._told.clear()
        try:
            async for event in self.client.events():
                self._take(event)
                if isinstance(event, CaughtUp):
                    await self._look_for_what_was_missed()
                    self.when_caught_up()
                if isinstance(event, CaughtUp | Lost):
                    has_begun.set()
        except ApiError as error:
            self.complaint = Complaint.about(error)
        finally:
            has_begun.set()

    def _take(self, event: Event) -> None:
        for each in self.followed:
            is_lost = isinstance(event, Lost) and not each.task.has_ended
            if each.is_lost != is_lost:
                each.is_lost = is_lost
        match event:
            case Changed(task):
                self._change(task)
            case Progressed(task_id, progress):
                if followed := self._find(task_id):
                    followed.progress(progress)
            case Previewed(task_id, image):
                if followed := self._find(task_id):
                    followed.preview = image
            case Missed():
                self._told.clear()

    def _change(self, task: Task) -> None:
        self._told.add(task.id)
        followed = self._find(task.id)
        is_news = task.id not in self._unlisted and not (followed and followed.task.has_ended)
        if followed is not None:
            followed.change(task)
        elif task.has_ended:
            self._unlisted[task.id] = task
        elif is_news:
            self.followed.insert(0, FollowedTask(self.client, task))
        if is_news and task.status == "completed":
            self.when_completed(task)

    async def _look_for_what_was_missed(self) -> None:
        """What was unfinished here and has not been told of has ended."""
        for followed in list(self.followed):
            if not followed.task.has_ended and followed.task.id not in self._told:
                await followed.look()
                if followed.task.status == "completed":
                    self.when_completed(followed.task)

    def _find(self, task_id: str) -> FollowedTask | None:
        return next((each for each in self.followed if each.task.id == task_id), None)
