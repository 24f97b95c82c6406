"""What survives a reload: a few short texts in the browser's (or the device's) own storage."""

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from api.decoding import decode
from api.problems import UnknownAnswer, Unreachable
from api.resources import Tokens

T = TypeVar("T")

TOKENS = "imagegen.tokens"

ANSWER_SECONDS = 5.0
"""What a page is asked while its connection is lost it does not answer, not even when it is back."""


async def answered(question: Coroutine[Any, Any, T], seconds: float = ANSWER_SECONDS) -> T:
    """What the page says.

    Raises:
        Unreachable: it is away.
    """
    try:
        return await asyncio.wait_for(question, seconds)
    except (TimeoutError, RuntimeError) as error:  # the latter is Flet's, when the session is over
        raise Unreachable("the page is away") from error


class Storage(Protocol):
    """What Flet's SharedPreferences can, as far as we use it."""

    def get(self, key: str) -> Coroutine[Any, Any, object]: ...

    def set(self, key: str, value: str) -> Coroutine[Any, Any, bool]: ...

    def remove(self, key: str) -> Coroutine[Any, Any, bool]: ...


class KeptTokens:
    """The tokens of the person who is signed in here; the API layer's TokenStore."""

    def __init__(self, storage: Storage, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._storage = storage
        self._answer_seconds = answer_seconds

    async def load(self) -> Tokens | None:
        try:
            return decode(
                Tokens, json.loads(str(await answered(self._storage.get(TOKENS), self._answer_seconds) or "null"))
            )
        except (ValueError, UnknownAnswer):  # nothing, or what an older client has kept
            return None

    async def save(self, tokens: Tokens | None) -> None:
        if tokens is None:
            await answered(self._storage.remove(TOKENS), self._answer_seconds)
        else:
            kept = json.dumps(asdict(tokens))
            await answered(self._storage.set(TOKENS, kept), self._answer_seconds)
