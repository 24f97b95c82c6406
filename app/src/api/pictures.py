"""The person's gallery: pictures found, looked at, fetched, deleted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from api.connection import Connection, File
from api.decoding import decode
from api.resources import Picture, Recipe

RESULTS = "/api/v1/results"
PAGE_SIZE = 48
Format = Literal["png", "jpeg", "webp"]
MOST_DELETED = 100
"""By one call, as the gateway takes them."""

MOST_IN_AN_ARCHIVE = 100


@dataclass(frozen=True)
class Filters:
    """Which pictures are looked for.

    Attributes:
        text: words that the prompt has; empty: any.
        model: name; empty: any.
        favorite: only favorites.
        since: made then or later.
    """

    text: str = ""
    model: str = ""
    favorite: bool = False
    since: datetime | None = None


@dataclass(frozen=True)
class PicturePage:
    """Pictures, newest first; `next_cursor` asks for the next page."""

    results: list[Picture]
    next_cursor: str | None


@dataclass(frozen=True)
class NotedRecipe(Recipe):
    """A picture's, with what painted it; None if that was not known."""

    engine: str | None = None


class Pictures:
    """Every method may raise what `Connection.call` does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(
        self, filters: Filters | None = None, cursor: str | None = None, limit: int = PAGE_SIZE
    ) -> PicturePage:
        wanted = filters or Filters()
        given = {
            "q": wanted.text,
            "model": wanted.model,
            "favorite": "true" if wanted.favorite else "",
            "created_from": wanted.since.isoformat() if wanted.since else "",
            "cursor": cursor or "",
        }
        query: dict[str, str | int | list[str]] = {"limit": limit}
        query.update({name: value for name, value in given.items() if value})
        return decode(PicturePage, await self._connection.call("GET", RESULTS, query=query))

    async def get(self, result_id: str) -> Picture:
        """With a fresh link."""
        return decode(Picture, await self._connection.call("GET", f"{RESULTS}/{result_id}"))

    async def recipe(self, result_id: str) -> NotedRecipe:
        """What makes it again."""
        return decode(NotedRecipe, await self._connection.call("GET", f"{RESULTS}/{result_id}/recipe"))

    async def fetch(self, result_id: str, kind: Format = "png") -> File:
        """The picture to be kept, under a name that says what it shows; PNG is as it was painted."""
        query: dict[str, str | int | list[str]] = {"download": "true", "format": kind}
        return await self._connection.file(f"{RESULTS}/{result_id}/image", query)

    async def mark(self, result_id: str, favorite: bool) -> None:
        """As a favorite, or as none any more; may be repeated."""
        await self._connection.call("PUT" if favorite else "DELETE", f"{RESULTS}/{result_id}/favorite")

    async def delete(self, result_ids: Sequence[str]) -> None:
        """For good, at most `MOST_DELETED` at once. One that is not there any more is as good as deleted."""
        await self._connection.call("POST", f"{RESULTS}/delete", body={"ids": list(result_ids)})

    async def archive(self, result_ids: Sequence[str]) -> File:
        """A ZIP of at most `MOST_IN_AN_ARCHIVE` pictures; there is none of it if one of them is not there."""
        return await self._connection.file(f"{RESULTS}/archive", body={"ids": list(result_ids)})
