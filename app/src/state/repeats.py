"""Asking again after a lost answer, without doing it twice."""

import secrets
from dataclasses import dataclass


@dataclass
class RequestKey:
    """The `Idempotency-Key` of what is asked for: it stays as long as the same is asked for and not forgotten."""

    _asked: object = None
    _key: str = ""

    def of(self, asked: object) -> str:
        if asked != self._asked:
            self._asked, self._key = asked, secrets.token_hex(16)
        return self._key

    def forget(self) -> None:
        """It has been answered: who asks for the same again wants another one."""
        self._asked = None
