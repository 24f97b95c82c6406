"""Links that open a picture to whoever has them."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from api.connection import Connection
from api.decoding import decode
from api.pictures import RESULTS

SHARES = "/api/v1/shares"
PAGE_SIZE = 100

State = Literal["open", "expired", "revoked"]


@dataclass(frozen=True)
class Terms:
    """How a link opens its picture.

    Attributes:
        expires_in: seconds from now; None: it stays.
        password: None: whoever has the link sees the picture.
    """

    expires_in: int | None = None
    password: str | None = None
    hide_prompt: bool = False
    allow_download: bool = False


@dataclass(frozen=True)
class Share:
    """What is kept of a link: not what opens it."""

    id: str
    has_password: bool
    hide_prompt: bool
    allow_download: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def state(self, now: datetime) -> State:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "open"


@dataclass(frozen=True)
class NewShare(Share):
    """`url` is the link; None in the answer to a repeat, as it is told once."""

    url: str | None


@dataclass(frozen=True)
class SharePage:
    """Links, newest first; `next_cursor` asks for the next page."""

    shares: list[Share]
    next_cursor: str | None


class Shares:
    """Every method may raise what `Connection.call` does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(self, result_id: str, cursor: str | None = None, limit: int = PAGE_SIZE) -> SharePage:
        """The links to a picture; those that have ended, too."""
        query: dict[str, str | int | list[str]] = {"limit": limit}
        if cursor:
            query["cursor"] = cursor
        answer = await self._connection.call("GET", f"{RESULTS}/{result_id}/shares", query=query)
        return decode(SharePage, answer)

    async def create(self, result_id: str, terms: Terms, key: str) -> NewShare:
        """A repeat with the same key is answered with the share of the first, and without its link."""
        body = {name: value for name, value in asdict(terms).items() if value is not None}
        headers = {"Idempotency-Key": key}
        answer = await self._connection.call("POST", f"{RESULTS}/{result_id}/shares", body=body, headers=headers)
        return decode(NewShare, answer)

    async def revoke(self, share_id: str) -> None:
        """Once this returns, the link opens nothing more."""
        await self._connection.call("DELETE", f"{SHARES}/{share_id}")
