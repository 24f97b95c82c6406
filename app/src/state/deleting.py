"""Deletion that can be taken back for a few seconds.

    shown ──delete──▶ pending ──6 s · another deletion · the page or the session is left──▶ deleted for good
      ▲                  │                                                                      │
      └──────undo────────┘                                                                      │
      └──────────────────────────the server could not do it: they come back, with a complaint───┘

The server is told at the end. So nothing is lost if this process or the network dies before; and a session that has
ended elsewhere deletes nothing more.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field

import flet as ft

from api.client import Client
from api.pictures import MOST_DELETED
from api.problems import ApiError
from api.resources import Picture
from state.complaints import Complaint
from state.gallery import Gallery

UNDO_SECONDS = 6.0

LEAVE_SECONDS = 3.0
"""A person who signs out waits no longer for a server that does not answer."""


@dataclass(eq=False)
class Deleting(ft.Observable):
    """Attributes:
    seconds: for which a deletion can be taken back.
    pending: what the person has deleted last and may have back.
    returned: how many came back, because the server could not delete them.
    complaint: why they did.
    """

    client: Client
    gallery: Gallery
    seconds: float = UNDO_SECONDS
    pending: tuple[Picture, ...] = ()
    returned: int = 0
    complaint: Complaint | None = None
    _timer: asyncio.TimerHandle | None = field(default=None, init=False, repr=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False, repr=False)

    def delete(self, pictures: Iterable[Picture]) -> None:
        """Takes them out of sight at once. An earlier deletion cannot be taken back any more."""
        chosen = tuple(picture for picture in pictures if picture.id not in self.gallery.hidden)
        if not chosen:
            return
        self._tell()
        self.dismiss()
        self.gallery.hide(picture.id for picture in chosen)
        self.pending = chosen
        self._timer = asyncio.get_running_loop().call_later(self.seconds, self._tell)
        if not self.gallery.pictures:  # there may be more, on the next page
            self._go_on(self.gallery.load_more())

    def undo(self) -> None:
        """Whatever was deleted last is where it was."""
        self.gallery.show(picture.id for picture in self._take())

    async def finish(self) -> None:
        """Waits no longer: the server is told now. Returns when it has answered, or does not in time."""
        self._tell()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LEAVE_SECONDS)

    def dismiss(self) -> None:
        """The complaint has been read."""
        self.complaint, self.returned = None, 0

    def forget(self) -> None:
        """The person has gone, and takes back what the server does not know yet."""
        self._take()
        for task in self._tasks:
            task.cancel()
        self.dismiss()

    def _take(self) -> tuple[Picture, ...]:
        """What was pending, and is no more."""
        if self._timer is not None:
            self._timer.cancel()
        taken, self.pending, self._timer = self.pending, (), None
        return taken

    def _tell(self) -> None:
        taken = self._take()
        if taken:
            self._go_on(self._delete([picture.id for picture in taken]))

    def _go_on(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _delete(self, result_ids: Sequence[str]) -> None:
        for first in range(0, len(result_ids), MOST_DELETED):
            try:
                await self.client.pictures.delete(result_ids[first : first + MOST_DELETED])
            except ApiError as error:
                left = result_ids[first:]
                self.gallery.show(left)
                self.complaint, self.returned = Complaint.about(error), len(left)
                return
