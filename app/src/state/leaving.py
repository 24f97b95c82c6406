"""Leaving for good: everything may be taken along before the account is deleted."""

from dataclasses import dataclass

import flet as ft

from api.client import Client
from api.problems import ApiError
from state.complaints import Complaint
from state.saving import SaveFile


@dataclass(eq=False)
class Export(ft.Observable):
    """Everything that is kept of the person, as a file.

    Attributes:
        complaint: why there is no file.
    """

    client: Client
    save_file: SaveFile
    is_busy: bool = False
    is_done: bool = False
    complaint: Complaint | None = None

    async def prepare(self) -> None:
        """For a browser, which fetches the file by itself with the tokens that it keeps: renews them if need be."""
        self.complaint = None
        try:
            await self.client.me()
        except ApiError as error:
            self.complaint = Complaint.about(error)

    async def run(self) -> None:
        """On a device."""
        if self.is_busy:
            return
        self.is_busy, self.is_done, self.complaint = True, False, None
        try:
            file = await self.client.accounts.export()
            await self.save_file(file.name or "imagegen-export.zip", file.content)
            self.is_done = True
        except ApiError as error:
            self.complaint = Complaint.about(error)
        finally:
            self.is_busy = False


@dataclass(eq=False)
class Deletion(ft.Observable):
    """Of the account. `complaint` says why it is still there."""

    client: Client
    is_busy: bool = False
    complaint: Complaint | None = None

    async def run(self, password: str) -> bool:
        """Says whether the account is gone."""
        if self.is_busy:
            return False
        self.is_busy, self.complaint = True, None
        try:
            await self.client.accounts.delete(password)
        except ApiError as error:
            self.complaint = Complaint.about(error)
            return False
        finally:
            self.is_busy = False
        return True
