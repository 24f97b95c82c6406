"""The links to one picture: those that there are, and one that is being made."""

from dataclasses import dataclass, field, replace

import flet as ft

from api.client import Client
from api.problems import ApiError
from api.shares import NewShare, Share, Terms
from state.complaints import Complaint
from state.repeats import RequestKey

DAY = 24 * 60 * 60

LIVES: tuple[int | None, ...] = (DAY, 7 * DAY, 30 * DAY, None)
"""Seconds from which a person may choose; None: for ever."""


@dataclass(eq=False)
class Sharing(ft.Observable):
    """Attributes:
    links: newest first; those that have ended, too.
    cursor: of the next page; None: there is none, or none is known yet.
    terms: of the link that is being made.
    made: the link that has just been made: it is shown until another is wanted, and never again.
    complaint: why the links are not known; `refusal`: why one was not made or not revoked.
    """

    client: Client
    result_id: str
    links: list[Share] = field(default_factory=list)
    cursor: str | None = None
    terms: Terms = field(default_factory=lambda: Terms(expires_in=7 * DAY))
    made: NewShare | None = None
    is_loading: bool = False
    is_busy: bool = False
    complaint: Complaint | None = None
    refusal: Complaint | None = None
    _key: RequestKey = field(default_factory=RequestKey, init=False, repr=False)

    async def load(self) -> None:
        """The first page anew."""
        self.cursor = None
        await self.load_more()

    async def load_more(self) -> None:
        if self.is_loading:
            return
        self.is_loading, self.complaint = True, None
        known = [] if self.cursor is None else list(self.links)
        try:
            page = await self.client.shares.page(self.result_id, self.cursor)
        except ApiError as error:
            self.complaint = Complaint.about(error)
        else:
            seen = {share.id for share in known}
            self.links = known + [share for share in page.shares if share.id not in seen]
            self.cursor = page.next_cursor
        finally:
            self.is_loading = False

    def choose(self, terms: Terms) -> None:
        self.terms, self.refusal = terms, None

    async def create(self) -> None:
        """Makes a link by the terms. Pressed again after a lost connection, it leaves no second link."""
        if self.is_busy:
            return
        self.is_busy, self.refusal = True, None
        try:
            self.made = await self._create()
        except ApiError as error:
            self.refusal = Complaint.about(error)
        else:
            self.links = [self.made, *self.links]
            self.terms = replace(self.terms, password=None)
        finally:
            self.is_busy = False

    async def _create(self) -> NewShare:
        share = await self.client.shares.create(self.result_id, self.terms, self._key.of(self.terms))
        if share.url is None:  # the answer that told the link was lost: it is nobody's
            await self.client.shares.revoke(share.id)
            self._key.forget()
            share = await self.client.shares.create(self.result_id, self.terms, self._key.of(self.terms))
        self._key.forget()
        return share

    def make_another(self) -> None:
        self.made = None

    async def revoke(self, share: Share) -> None:
        """Ends a link, for good."""
        if self.is_busy:
            return
        self.is_busy, self.refusal = True, None
        try:
            await self.client.shares.revoke(share.id)
        except ApiError as error:
            self.refusal = Complaint.about(error)
        else:
            ended = replace(share, revoked_at=self.client.connection.now())
            self.links = [ended if each.id == share.id else each for each in self.links]
            if self.made is not None and self.made.id == share.id:
                self.made = None
        finally:
            self.is_busy = False
