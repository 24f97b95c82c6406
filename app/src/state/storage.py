"""What survives a reload: a few short texts in the browser's (or the device's) own storage."""

import json
from dataclasses import asdict
from typing import Protocol

from api.decoding import decode
from api.problems import UnknownAnswer
from api.resources import Tokens

TOKENS = "imagegen.tokens"


class Storage(Protocol):
    """What Flet's SharedPreferences can, as far as we use it."""

    async def get(self, key: str) -> object: ...

    async def set(self, key: str, value: str) -> bool: ...

    async def remove(self, key: str) -> bool: ...


class KeptTokens:
    """The tokens of the person who is signed in here; the API layer's TokenStore."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def load(self) -> Tokens | None:
        try:
            return decode(Tokens, json.loads(str(await self._storage.get(TOKENS) or "null")))
        except (ValueError, UnknownAnswer):  # nothing, or what an older client has kept
            return None

    async def save(self, tokens: Tokens | None) -> None:
        if tokens is None:
            await self._storage.remove(TOKENS)
        else:
            await self._storage.set(TOKENS, json.dumps(asdict(tokens)))
