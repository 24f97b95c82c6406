"""How much room a person's pictures take."""

from dataclasses import dataclass

import flet as ft

from api.accounts import StorageUse
from api.client import Client
from api.problems import ApiError
from state.complaints import Complaint


@dataclass(eq=False)
class StorageUsed(ft.Observable):
    """`known` is None until it was told."""

    client: Client
    known: StorageUse | None = None
    complaint: Complaint | None = None

    async def load(self) -> None:
        self.complaint = None
        try:
            self.known = await self.client.accounts.storage_use()
        except ApiError as error:
            self.complaint = Complaint.about(error)
