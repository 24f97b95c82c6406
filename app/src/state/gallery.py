"""The pictures that a person has, newest first, page by page."""

from dataclasses import dataclass, field

import flet as ft

from api.client import Client
from api.problems import ApiError, Problem
from api.resources import Picture, Task
from state.complaints import Complaint

MOST = 480
"""A grid of a thousand tiles takes 67 ms to render, of 24 it takes 5."""


@dataclass(eq=False)
class Gallery(ft.Observable):
    """Attributes:
    cursor: of the next page; None: there is none, or none is known yet.
    is_complete: there is no more to load.
    linked: one that a link leads to, which may be on no page yet.
    missing: id of a result that a link leads to and that is not there; empty: none.
    """

    client: Client
    pictures: list[Picture] = field(default_factory=list)
    cursor: str | None = None
    is_complete: bool = False
    is_loading: bool = False
    complaint: Complaint | None = None
    linked: Picture | None = None
    missing: str = ""

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
            known = [] if is_first else list(self.pictures)
            seen = {picture.id for picture in known}
            self.pictures = known + [picture for picture in page.results if picture.id not in seen]
            self.cursor = page.next_cursor
            self.is_complete = page.next_cursor is None or len(self.pictures) >= MOST
        finally:
            self.is_loading = False

    def add(self, task: Task) -> None:
        """One that has just been completed."""
        known = {picture.id for picture in self.pictures}
        self.pictures = [picture for picture in task.pictures if picture.id not in known] + self.pictures

    async def delete(self, result_id: str) -> bool:
        """For good. Says whether it is gone."""
        self.complaint = None
        try:
            await self.client.pictures.delete(result_id)
        except Problem as problem:
            if problem.code != "result_not_found":
                self.complaint = Complaint.about(problem)
                return False
        except ApiError as error:
            self.complaint = Complaint.about(error)
            return False
        self.pictures = [picture for picture in self.pictures if picture.id != result_id]
        self.linked = None
        return True

    async def reach(self, result_id: str) -> None:
        """Makes sure that the picture can be found, or is known to be missing."""
        self.missing = ""
        if self.find(result_id) is not None:
            return
        try:
            self.linked = await self.client.pictures.get(result_id)
        except ApiError:
            self.missing = result_id

    def find(self, result_id: str) -> Picture | None:
        known = [*self.pictures, *([self.linked] if self.linked else [])]
        return next((picture for picture in known if picture.id == result_id), None)

    def neighbour(self, result_id: str, step: int) -> Picture | None:
        """The picture that many places after it."""
        ids = [picture.id for picture in self.pictures]
        if result_id not in ids:
            return None
        place = ids.index(result_id) + step
        return self.pictures[place] if 0 <= place < len(ids) else None

    def forget(self) -> None:
        self.pictures, self.cursor, self.is_complete, self.complaint = [], None, False, None
        self.linked, self.missing = None, ""
