"""Where a person is signed in: what the gateway calls sessions."""

from dataclasses import dataclass
from datetime import datetime

from api.connection import Connection
from api.decoding import decode

SESSIONS = "/api/v1/auth/sessions"


@dataclass(frozen=True)
class SignIn:
    """Attributes:
    device: what signed in, as it described itself (`User-Agent`); may be empty.
    last_used_at: when it last signed in or renewed its tokens.
    is_current: it is the one that asks.
    """

    id: str
    device: str
    created_at: datetime
    last_used_at: datetime
    is_current: bool


class SignIns:
    """Every method may raise what `Connection.call` does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> list[SignIn]:
        """Newest first."""
        return decode(list[SignIn], (await self._connection.call("GET", SESSIONS))["sessions"])

    async def end(self, sign_in_id: str) -> None:
        """Signs out there."""
        await self._connection.call("DELETE", f"{SESSIONS}/{sign_in_id}")
