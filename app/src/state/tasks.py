"""The tasks of this session: those that are being painted, followed to their end, and those that have just ended."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import flet as ft

from api.client import Client
from api.events import Changed, Lost, Previewed, Progressed
from api.problems import ApiError
from api.resources import Task
from state.complaints import Complaint

UNFINISHED = ("pending", "processing")


@dataclass(eq=False)
class FollowedTask(ft.Observable):
    """Attributes:
    preview: the picture so far.
    is_lost: the connection is broken and will be taken up again.
    complaint: why it cannot be followed or canceled.
    """

    client: Client
    task: Task
    preview: bytes | None = None
    is_lost: bool = False
    complaint: Complaint | None = None

    async def follow(self) -> None:
        """To its end."""
        self.complaint = None
        try:
            async for event in self.client.follow(self.task.id):
                self.is_lost = isinstance(event, Lost)
                match event:
                    case Changed(task):
                        self.task = task
                    case Progressed(progress):
                        self.task = replace(self.task, progress=progress, waiting_reason=None)
                    case Previewed(image):
                        self.preview = image
            if not self.task.has_ended:  # nothing came after what an earlier connection had seen
                self.task = await self.client.task(self.task.id)
        except ApiError as error:
            self.complaint = Complaint.about(error)
        self.is_lost = False

    async def cancel(self) -> None:
        self.complaint = None
        try:
            self.task = await self.client.cancel(self.task.id)
        except ApiError as error:
            self.complaint = Complaint.about(error)


@dataclass(eq=False)
class Tasks(ft.Observable):
    """Newest first. `when_completed` hears of each task that ends with pictures."""

    client: Client
    when_completed: Callable[[Task], None]
    followed: list[FollowedTask] = field(default_factory=list)
    complaint: Complaint | None = None
    is_loading: bool = False
    _following: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False, repr=False)

    async def load(self) -> None:
        """Takes up what is unfinished from another visit or another device."""
        self.is_loading, self.complaint = True, None
        try:
            history = await self.client.history(*UNFINISHED)
        except ApiError as error:
            self.complaint = Complaint.about(error)
        else:
            for task in reversed(history.tasks):
                self.add(task)
        finally:
            self.is_loading = False

    def add(self, task: Task) -> None:
        if any(each.task.id == task.id for each in self.followed):
            return
        followed = FollowedTask(self.client, task)
        self.followed.insert(0, followed)
        self.follow(followed)

    def follow(self, followed: FollowedTask) -> None:
        self._following[followed.task.id] = asyncio.create_task(self._follow(followed))

    async def _follow(self, followed: FollowedTask) -> None:
        await followed.follow()
        if followed.task.status == "completed":
            self.when_completed(followed.task)

    def dismiss(self, followed: FollowedTask) -> None:
        """Takes one that has ended off the list."""
        self.followed.remove(followed)

    def stop(self) -> None:
        """Lets go of everything: the person or the session has gone."""
        for each in self._following.values():
            each.cancel()
        self._following.clear()
        self.followed.clear()
