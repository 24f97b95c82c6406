"""The pictures that a person has, newest first, page by page."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import flet as ft

from api.client import Client
from api.problems import ApiError
from api.resources import Picture, Task
from state.complaints import Complaint

MOST = 480
"""A grid of a thousand tiles takes 67 ms to render, of 24 it takes 5."""


@dataclass(eq=False)
class Gallery(ft.Observable):
    """Attributes:
    loaded: those that were fetched; `pictures` are those of them that are to be seen.
    hidden: ids of results that were deleted here.
    cursor: of the next page; None: there is none, or none is known yet.
    is_complete: there is no more to load.
    linked: one that a link leads to, which may be on no page yet.
    missing: id of a result that a link leads to and that is not there; empty: none.
    """

    client: Client
    loaded: list[Picture] = field(default_factory=list)
    hidden: frozenset[str] = frozenset()
    cursor: str | None = None
    is_complete: bool = False
    is_loading: bool = False
    complaint: Complaint | None = None
    linked: Picture | None = None
    missing: str = ""

    @property
    def pictures(self) -> list[Picture]:
        return [picture for picture in self.loaded if picture.id not in self.hidden]

    def hide(self, result_ids: Iterable[str]) -> None:
        """They are nowhere to be seen, whatever is loaded."""
        self.hidden |= frozenset(result_ids)

    def show(self, result_ids: Iterable[str]) -> None:
        """They are seen again where they were."""
        self.hidden -= frozenset(result_ids)

    def change(self, picture: Picture) -> None:
        """What is known of one of them is this by now."""
        self.loaded = [picture if each.id == picture.id else each for each in self.loaded]
        if self.linked is not None and self.linked.id == picture.id:
            self.linked = picture

    async def load(self) -> None:
        """The first page anew."""
        self.cursor, self.is_complete = None, False
        await self.load_more()

    async def load_more(self) -> None:
        if self.is_loading or self.is_complete:
            return
        self.is_loading, self.complaint = True, None
        is_first = self.cursor is None
        try:
            page = await self.client.pictures.page(self.cursor)
        except ApiError as error:
            self.complaint = Complaint.about(error)
        else:
            known = [] if is_first else list(self.loaded)
            seen = {picture.id for picture in known}
            self.loaded = known + [picture for picture in page.results if picture.id not in seen]
            self.cursor = page.next_cursor
            self.is_complete = page.next_cursor is None or len(self.loaded) >= MOST
        finally:
            self.is_loading = False

    def add(self, task: Task) -> None:
        """One that has just been completed."""
        known = {picture.id for picture in self.loaded}
        self.loaded = [picture for picture in task.pictures if picture.id not in known] + self.loaded

    async def reach(self, result_id: str) -> None:
        """Makes sure that the picture can be found, or is known to be missing."""
        self.missing = ""
        if self.find(result_id) is not None:
            return
        if result_id in self.hidden:
            self.missing = result_id
            return
        try:
            self.linked = await self.client.pictures.get(result_id)
        except ApiError:
            self.missing = result_id

    def find(self, result_id: str) -> Picture | None:
        if result_id in self.hidden:
            return None
        known = [*self.loaded, *([self.linked] if self.linked else [])]
        return next((picture for picture in known if picture.id == result_id), None)

    def neighbour(self, result_id: str, step: int) -> Picture | None:
        """The picture that many places after it."""
        ids = [picture.id for picture in self.pictures]
        if result_id not in ids:
            return None
        place = ids.index(result_id) + step
        return self.pictures[place] if 0 <= place < len(ids) else None

    def forget(self) -> None:
        self.loaded, self.cursor, self.is_complete, self.complaint = [], None, False, None
        self.linked, self.missing, self.hidden = None, "", frozenset()
