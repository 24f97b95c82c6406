"""Keys with which a person's programs call the gateway."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from api.connection import Connection
from api.decoding import decode

KEYS = "/api/v1/auth/keys"

Scope = Literal["generate", "read", "share", "admin"]


@dataclass(frozen=True)
class ApiKey:
    """Attributes:
    prefix: the secret's first characters, to recognise it by.
    expires_at: None: it does not expire.
    last_used_at: up to ten minutes late; None: it was never used.
    """

    id: str
    name: str
    scopes: list[Scope]
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def counts(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True)
class NewApiKey(ApiKey):
    """`key` is the secret; None in the answer to a repeat: it is told once."""

    key: str | None


class ApiKeys:
    """Every method may raise what `Connection.call` does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> list[ApiKey]:
        """Newest first; revoked and expired ones for another thirty days."""
        return decode(list[ApiKey], (await self._connection.call("GET", KEYS))["keys"])

    async def create(self, name: str, scopes: Sequence[Scope], expires_in: int | None, request_key: str) -> NewApiKey:
        """`expires_in` is in seconds; None: it does not expire. A repeat with the same `request_key` is answered with
        the first call's key, without the secret.
        """
        body = {"name": name, "scopes": list(scopes), "expires_in": expires_in}
        headers = {"Idempotency-Key": request_key}
        return decode(NewApiKey, await self._connection.call("POST", KEYS, body=body, headers=headers))

    async def revoke(self, api_key_id: str) -> None:
        await self._connection.call("DELETE", f"{KEYS}/{api_key_id}")
