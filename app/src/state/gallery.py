"""The pictures that a person has, or those of them that are looked for; newest first, page by page."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

import flet as ft

from api.client import Client
from api.pictures import Filters
from api.problems import ApiError
from api.resources import Picture, Task
from state.complaints import Complaint

PAUSE_SECONDS = 0.3
"""Of typing, before a search begins."""

FRESH_SECONDS = 5.0
"""What has been asked for so shortly is not asked for again by somebody who comes to look at it."""

Period = Literal["day", "week", "month"]

DAYS: dict[Period, int] = {"day": 1, "week": 7, "month": 30}


@dataclass(eq=False)
class Gallery(ft.Observable):
    """Attributes:
    text, model, favorite, period: what is looked for; empty, False, None: anything.
    cleared: grows when they are emptied from here, so that views forget what was typed into them.
    loaded: those that were fetched; `pictures` are those of them that are to be seen.
    hidden: ids of results that were deleted here.
    cursor: of the next page; None: there is none, or none is known yet.
    is_complete: there is no more to load.
    linked: one that a link leads to, which may be on no page yet.
    missing: id of a result that a link leads to and that is not there; empty: none.
    fresh_seconds: for which a first page is not looked at anew.
    """

    client: Client
    fresh_seconds: float = FRESH_SECONDS
    text: str = ""
    model: str = ""
    favorite: bool = False
    period: Period | None = None
    cleared: int = 0
    loaded: list[Picture] = field(default_factory=list)
    hidden: frozenset[str] = frozenset()
    cursor: str | None = None
    is_complete: bool = False
    is_loading: bool = False
    complaint: Complaint | None = None
    linked: Picture | None = None
    missing: str = ""
    _filters: Filters = field(default_factory=Filters, init=False, repr=False)
    _query: int = field(default=0, init=False, repr=False)
    """Grows with every new question: an answer to an older one comes too late."""
    _searching: asyncio.Task[None] | None = field(default=None, init=False, repr=False)
    _asked_at: float | None = field(default=None, init=False, repr=False)
    """When the first page was asked for, by the monotonic clock; None: never, or it did not come."""

    @property
    def pictures(self) -> list[Picture]:
        return [picture for picture in self.loaded if picture.id not in self.hidden]

    @property
    def is_filtered(self) -> bool:
        return bool(self.text or self.model or self.favorite or self.period)

    def type_text(self, text: str) -> None:
        """Searches when no more is typed for a moment."""
        self.text = text.strip()
        self._load_after(PAUSE_SECONDS)

    def filter(self, **wanted: Any) -> None:
        """Looks for what is named: model, favorite, period."""
        for name, value in wanted.items():
            setattr(self, name, value)
        self._load_after(0)

    def clear_filters(self) -> None:
        self._empty()
        self._load_after(0)

    def _empty(self) -> None:
        self.text, self.model, self.favorite, self.period = "", "", False, None
        self.cleared += 1

    def _load_after(self, seconds: float) -> None:
        async def load() -> None:
            await asyncio.sleep(seconds)
            await self.load()

        if self._searching is not None:
            self._searching.cancel()
        self._searching = asyncio.create_task(load())

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

    async def look(self) -> None:
        """Somebody comes to it: other devices make and delete pictures, too."""
        if self._asked_at is None or time.monotonic() - self._asked_at >= self.fresh_seconds:
            await self.load()

    async def load(self) -> None:
        """The first page anew; what was there is seen until it comes."""
        self._query += 1
        self._asked_at = time.monotonic()
        since = self.client.connection.now() - timedelta(days=DAYS[self.period]) if self.period else None
        self._filters = Filters(self.text, self.model, self.favorite, since)
        self.cursor, self.is_complete, self.is_loading = None, False, False
        await self.load_more()

    async def load_more(self) -> None:
        if self.is_loading or self.is_complete:
            return
        self.is_loading, self.complaint = True, None
        query, is_first = self._query, self.cursor is None
        try:
            page = await self.client.pictures.page(self._filters, self.cursor)
        except ApiError as error:
            if query == self._query:
                self.complaint, self.is_loading, self._asked_at = Complaint.about(error), False, None
            return
        if query != self._query:
            return
        known = [] if is_first else self.loaded
        seen = {picture.id for picture in known}
        self.loaded = [*known, *(picture for picture in page.results if picture.id not in seen)]
        self.cursor, self.is_complete, self.is_loading = page.next_cursor, page.next_cursor is None, False

    def add(self, task: Task) -> None:
        """One that has just been completed. Whether it is among what is looked for, the server knows."""
        if self.is_filtered:
            self._load_after(0)
            return
        known = {picture.id for picture in self.loaded}
        self.loaded = [*(picture for picture in task.pictures if picture.id not in known), *self.loaded]

    async def reach(self, result_id: str) -> None:
        """Makes sure that the picture can be found, or is known to be missing; and that the next one can."""
        self.missing = ""
        if self.loaded and self.loaded[-1].id == result_id:
            await self.load_more()
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
        pictures = self.pictures
        ids = [picture.id for picture in pictures]
        if result_id not in ids:
            return None
        place = ids.index(result_id) + step
        return pictures[place] if 0 <= place < len(ids) else None

    def forget(self) -> None:
        if self._searching is not None:
            self._searching.cancel()
        self._empty()
        self._query += 1
        self.loaded, self.cursor, self.is_complete, self.is_loading, self.complaint = [], None, False, False, None
        self.linked, self.missing, self.hidden, self._asked_at = None, "", frozenset(), None
