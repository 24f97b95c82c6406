"""Pictures chosen together, to be kept as files or deleted."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import flet as ft

from api.client import Client
from api.pictures import MOST_IN_AN_ARCHIVE
from api.problems import ApiError
from api.resources import Picture
from state.complaints import Complaint
from state.deleting import Deleting
from state.gallery import Gallery
from state.saving import Saver

ARCHIVE_BYTES = 48 * 2**20
"""Of pictures in one ZIP that passes through the client: it lies in its memory."""


@dataclass(eq=False)
class Selection(ft.Observable):
    """Attributes:
    is_on: a press chooses a picture instead of opening it.
    ids: of the chosen results.
    is_saving: ZIPs are being fetched.
    complaint: why one could not be.
    """

    client: Client
    gallery: Gallery
    deleting: Deleting
    saver: Saver
    is_on: bool = False
    ids: frozenset[str] = frozenset()
    is_saving: bool = False
    complaint: Complaint | None = None

    @property
    def pictures(self) -> list[Picture]:
        """Those that are still there, in the gallery's order."""
        return [picture for picture in self.gallery.pictures if picture.id in self.ids]

    def begin(self, result_id: str) -> None:
        """With one picture; empty: with none yet."""
        self.is_on, self.ids = True, frozenset({result_id} if result_id else ())

    def toggle(self, result_id: str) -> None:
        self.ids ^= {result_id}

    def take_all(self) -> None:
        """All that are loaded; if they are chosen already, none."""
        everything = frozenset(picture.id for picture in self.gallery.pictures)
        self.ids = frozenset() if self.ids >= everything else everything

    def end(self) -> None:
        self.is_on, self.ids, self.complaint = False, frozenset(), None

    def delete(self) -> None:
        """They can be had back for a moment."""
        self.deleting.delete(self.pictures)
        self.end()

    @property
    def saving_url(self) -> str:
        """Where the browser saves them by itself, as `save` does; empty: nowhere."""
        return self.saver.url_of_archives(self._parts())

    async def save(self) -> None:
        """As ZIPs, where the person's downloads go; then nothing is chosen any more."""
        if self.is_saving:
            return
        self.is_saving, self.complaint = True, None
        try:
            for part in self._parts():
                await self.saver.save(partial(self.client.pictures.archive, part), "imagegen.zip")
        except ApiError as error:
            self.complaint = Complaint.about(error)
        else:
            self.end()
        finally:
            self.is_saving = False

    def _parts(self) -> Iterator[Sequence[str]]:
        """Ids, a ZIP each."""
        for part in parts_of(self.pictures, most_bytes=math.inf if self.saver.page else ARCHIVE_BYTES):
            yield [picture.id for picture in part]


def parts_of(pictures: Sequence[Picture], most_bytes: float) -> Iterator[Sequence[Picture]]:
    """As many as one ZIP takes, and at least one."""
    part: list[Picture] = []
    size = 0
    for picture in pictures:
        if part and (len(part) == MOST_IN_AN_ARCHIVE or size + picture.size_bytes > most_bytes):
            yield part
            part, size = [], 0
        part.append(picture)
        size += picture.size_bytes
    if part:
        yield part
