"""Files that leave the client."""

from typing import Protocol


class SaveFile(Protocol):
    """Hands a file over to the person's device."""

    async def __call__(self, name: str, content: bytes) -> None: ...
