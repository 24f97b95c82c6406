"""Files that leave the client: it hands them over itself, or a browser fetches them without it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from api.client import Client
from api.connection import File
from api.pictures import Format


class SaveFile(Protocol):
    """Hands a file over to the person's device."""

    async def __call__(self, name: str, content: bytes) -> None: ...


@dataclass(frozen=True)
class Saver:
    """On the web a page (app/web/static/save.js) saves files by itself, so that they do not pass through the process
    that serves everybody. It takes the tokens from the browser's storage; what is wanted stands behind its URL's `#`.

    Attributes:
        page: its URL; empty: there is none, and so is every URL that leads to it.
    """

    client: Client
    save_file: SaveFile
    page: str = ""

    async def save(self, fetch: Callable[[], Awaitable[File]], name: str) -> None:
        """Saves a file where the person's downloads go; if the page does it, has tokens kept for it that are good.
        `name` is for a file to which the server gives none.

        Raises:
            ApiError: there is no such file, or there are no tokens.
        """
        if self.page:
            await self.client.me()
            return
        file = await fetch()
        await self.save_file(file.name or name, file.content)

    def url_of_export(self) -> str:
        return self._url("export")

    def url_of_picture(self, result_id: str, kind: Format) -> str:
        return self._url("picture", result_id, kind)

    def url_of_archives(self, parts: Iterable[Sequence[str]]) -> str:
        """`parts` are ids of results, a ZIP each."""
        return self._url("archives", *(",".join(part) for part in parts))

    def _url(self, *words: str) -> str:
        return f"{self.page}#{'/'.join(words)}" if self.page else ""
