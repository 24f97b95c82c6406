"""Changing the password."""

from dataclasses import dataclass

import flet as ft

from api.client import Client
from api.problems import ApiError, Unreachable
from state.complaints import Complaint


@dataclass(eq=False)
class PasswordChange(ft.Observable):
    """Attributes:
    is_done: it was changed.
    is_unsure: an earlier try had no answer, and may have changed it.
    complaint: why it was not changed.
    """

    client: Client
    is_busy: bool = False
    is_done: bool = False
    is_unsure: bool = False
    complaint: Complaint | None = None

    async def change(self, current: str, new: str) -> bool:
        if self.is_busy:
            return False
        self.is_busy, self.is_done, self.complaint = True, False, None
        try:
            await self.client.accounts.change_password(current, new)
            self.is_done, self.is_unsure = True, False
        except ApiError as error:
            self.is_unsure = self.is_unsure or isinstance(error, Unreachable)
            self.complaint = Complaint.about(error)
        finally:
            self.is_busy = False
        return self.is_done
