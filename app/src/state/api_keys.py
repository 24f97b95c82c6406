"""A person's API keys, and the making of a new one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import flet as ft

from api.api_keys import ApiKey, NewApiKey, Scope
from api.client import Client
from api.problems import ApiError, Problem
from state.complaints import Complaint
from state.repeats import RequestKey

Life = Literal["month", "quarter", "year", "endless"]
"""How long a new key is to count."""

DAY_SECONDS = 24 * 60 * 60
DAYS: dict[Life, int | None] = {"month": 30, "quarter": 90, "year": 365, "endless": None}


@dataclass(eq=False)
class ApiKeys(ft.Observable):
    """Attributes:
    known: newest first; None: not told yet.
    complaint: why the last call did not succeed.
    is_busy: a key is being revoked.
    """

    client: Client
    known: list[ApiKey] | None = None
    complaint: Complaint | None = None
    is_busy: bool = False

    async def load(self) -> None:
        self.complaint = None
        try:
            self.known = await self.client.api_keys.all()
        except ApiError as error:
            self.complaint = Complaint.about(error)

    async def revoke(self, key: ApiKey) -> None:
        if self.is_busy:
            return
        self.is_busy, self.complaint = True, None
        try:
            await self.client.api_keys.revoke(key.id)
        except ApiError as error:
            if not (isinstance(error, Problem) and error.code == "api_key_not_found"):
                self.complaint = Complaint.about(error)
                return
        finally:
            self.is_busy = False
        await self.load()


@dataclass(eq=False)
class KeyDraft(ft.Observable):
    """A key that is to be made.

    Attributes:
        made: with its secret, until the person has taken it; nobody can have it again.
        complaint: why it was not made.
    """

    client: Client
    name: str = ""
    scopes: list[Scope] = field(default_factory=lambda: ["generate", "read"])
    life: Life = "quarter"
    made: NewApiKey | None = None
    complaint: Complaint | None = None
    is_busy: bool = False
    _key: RequestKey = field(default_factory=RequestKey, init=False, repr=False)

    def choose(self, scope: Scope, is_chosen: bool) -> None:
        chosen = {*self.scopes, scope} if is_chosen else {*self.scopes} - {scope}
        self.scopes = [each for each in get_args(Scope) if each in chosen]

    async def submit(self) -> bool:
        """Says whether there is a key. Pressed again after a lost answer, it leaves one key and not two."""
        if self.is_busy:
            return False
        self.is_busy, self.complaint = True, None
        asked = (self.name.strip(), tuple(self.scopes), self.life)
        try:
            made = await self._create(*asked)
            if made.key is None:  # an earlier answer was lost, and with it a secret that nobody can have again
                await self.client.api_keys.revoke(made.id)
                self._key.forget()
                made = await self._create(*asked)
            self.made = made
        except ApiError as error:
            self.complaint = Complaint.about(error)
            return False
        finally:
            self.is_busy = False
        return True

    def take(self) -> None:
        """The person has the secret, and it is forgotten here. The next key is another one."""
        self.made, self.name = None, ""
        self._key.forget()

    async def _create(self, name: str, scopes: Sequence[Scope], life: Life) -> NewApiKey:
        days = DAYS[life]
        seconds = None if days is None else days * DAY_SECONDS
        key = self._key.of((name, scopes, life))
        return await self.client.api_keys.create(name, scopes, seconds, key)
