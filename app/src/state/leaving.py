"""Leaving for good: everything may be taken along before the account is deleted."""

from dataclasses import dataclass

import flet as ft

from api.client import Client
from api.problems import ApiError
from state.complaints import Complaint
from state.saving import Saver


@dataclass(eq=False)
class Export(ft.Observable):
    """Everything that is kept of the person, as a file.

    Attributes:
        complaint: why there is no file.
    """

    client: Client
    saver: Saver
    is_busy: bool = False
    is_done: bool = False
    complaint: Complaint | None = None

    @property
    def saving_url(self) -> str:
        """Where the browser saves it by itself, as `run` does; empty: nowhere."""
        return self.saver.url_of_export()

    async def run(self) -> None:
        if self.is_busy:
            return
        self.is_busy, self.is_done, self.complaint = True, False, None
        try:
            await self.saver.save(self.client.accounts.export, "imagegen-export.zip")
            self.is_done = not self.saving_url
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
