"""Where a person is signed in, and signing out there."""

from dataclasses import dataclass

import flet as ft

from api.client import Client
from api.problems import ApiError, Problem
from api.sign_ins import SignIn
from state.complaints import Complaint


@dataclass(eq=False)
class SignIns(ft.Observable):
    """Attributes:
    known: newest first; None: not told yet.
    complaint: why the last call did not succeed.
    is_busy: sign-ins are being ended.
    """

    client: Client
    known: list[SignIn] | None = None
    complaint: Complaint | None = None
    is_busy: bool = False

    @property
    def others(self) -> list[SignIn]:
        return [sign_in for sign_in in self.known or () if not sign_in.is_current]

    async def load(self) -> None:
        self.complaint = None
        try:
            self.known = await self.client.sign_ins.all()
        except ApiError as error:
            self.complaint = Complaint.about(error)

    async def end(self, *ended: SignIn) -> None:
        """Those that could be ended are gone from the list, whatever happens to the rest."""
        if self.is_busy:
            return
        self.is_busy, self.complaint = True, None
        try:
            for sign_in in ended:
                await self._end(sign_in)
        except ApiError as error:
            self.complaint = Complaint.about(error)
        finally:
            self.is_busy = False

    async def end_others(self) -> None:
        """Those, too, that have come since the list was told."""
        await self.load()
        if self.complaint is None:
            await self.end(*self.others)

    async def _end(self, ended: SignIn) -> None:
        try:
            await self.client.sign_ins.end(ended.id)
        except Problem as problem:
            if problem.code != "session_not_found":
                raise
        self.known = [sign_in for sign_in in self.known or () if sign_in.id != ended.id]
