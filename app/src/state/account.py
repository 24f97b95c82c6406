"""Who is here: a visitor, or a member who is signed in."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import flet as ft

from api.client import Client
from api.problems import ApiError, Problem, Unreachable
from api.resources import User
from state.complaints import Complaint

Phase = Literal["arriving", "visitor", "member"]

Farewell = Literal["ended", "deleted"]
"""Why somebody is a visitor again who did not sign out: the session was ended elsewhere, or the account is deleted."""


@dataclass(eq=False)
class Account(ft.Observable):
    """Attributes:
    phase: arriving until it is known whether the tokens of an earlier visit still count.
    complaint: why arriving, registering or signing in did not succeed.
    is_busy: a call is under way.
    farewell: what a visitor is still to be told.
    """

    client: Client
    phase: Phase = "arriving"
    user: User | None = None
    complaint: Complaint | None = None
    is_busy: bool = False
    farewell: Farewell | None = None

    async def arrive(self) -> None:
        """Takes up an earlier visit. If the server cannot be reached, it may be tried again."""
        try:
            await self.client.connection.restore()
            if self.client.connection.tokens is None:
                self.phase = "visitor"
            else:
                self.user = await self.client.me()
                self.phase = "member"
            self.complaint = None
        except Problem as problem:
            if problem.is_passing:
                self.complaint = Complaint.about(problem)
            else:
                with suppress(Unreachable):
                    await self.client.connection.keep(None)
                self.phase = "visitor"
        except ApiError as error:
            self.complaint = Complaint.about(error)

    async def register(self, username: str, email: str, password: str) -> None:
        """Creates an account and signs in."""
        await self._enter(username, password, email)

    async def login(self, username: str, password: str) -> None:
        await self._enter(username, password)

    async def _enter(self, username: str, password: str, email: str | None = None) -> None:
        if self.is_busy:
            return
        self.is_busy, self.complaint = True, None
        try:
            if email is not None:
                await self.client.register(username, email, password)
            await self.client.login(username, password)
            self.user = await self.client.me()
            self.phase = "member"
        except ApiError as error:
            self.complaint = Complaint.about(error)
        finally:
            self.is_busy = False

    async def logout(self) -> None:
        self.leave()
        with suppress(ApiError):  # the tokens are gone from here, and the session ends by itself
            await self.client.logout()

    def leave(self, farewell: Farewell | None = None) -> None:
        """The session has ended."""
        self.user, self.complaint, self.phase, self.farewell = None, None, "visitor", farewell

    def part(self) -> None:
        """The visitor has been told."""
        self.farewell = None

    def forget_complaint(self) -> None:
        self.complaint = None
