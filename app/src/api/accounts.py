"""What a person does with the own account."""

from dataclasses import dataclass

from api.connection import Connection, File
from api.decoding import decode

ME = "/api/v1/auth/me"


@dataclass(frozen=True)
class StorageUse:
    """What a person's pictures take.

    Attributes:
        quota_bytes: as much as they may take; None: there is no limit.
        retention_days: how long a picture stays that is neither a favourite nor shared; None: all stay.
    """

    used_bytes: int
    pictures: int
    quota_bytes: int | None
    retention_days: int | None


class Accounts:
    """Every method may raise what `Connection.call` does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def change_password(self, current: str, new: str) -> None:
        """Every other session of the person ends."""
        body = {"current_password": current, "new_password": new}
        await self._connection.call("POST", "/api/v1/auth/password", body=body)

    async def delete(self, password: str) -> None:
        """For good, with everything in it. The tokens count no longer, and are forgotten."""
        await self._connection.call("DELETE", ME, body={"password": password})
        await self._connection.keep(None)

    async def export(self) -> File:
        """Everything that is kept of the person, as a ZIP."""
        return await self._connection.file(f"{ME}/export")

    async def storage_use(self) -> StorageUse:
        return decode(StorageUse, await self._connection.call("GET", "/api/v1/results/storage"))
