"""Places in the executor's log, which holds the events of every job: cursors that can be compared.

A stream of somebody who has nothing under way has no place there. Its cursor is a moment, a place in no log.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from services.runtime.errors import InvalidCursor

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_CURSOR = re.compile(r"([0-9A-Za-z-]*)\.([0-9]{1,13})-([0-9]{1,19})")


@dataclass(frozen=True)
class Place:
    """`log` is the log's name, empty in a moment; milliseconds since 1970 by the clock of the log, and a number."""

    log: str
    milliseconds: int
    sequence: int

    @classmethod
    def of(cls, cursor: str) -> Self:
        """Raises InvalidCursor."""
        found = _CURSOR.fullmatch(cursor)
        if found is None:
            raise InvalidCursor("cursor")
        return cls(found[1], int(found[2]), int(found[3]))

    @classmethod
    def at(cls, moment: datetime) -> Self:
        """In no log."""
        return cls("", (moment - EPOCH) // timedelta(milliseconds=1), 0)

    @property
    def cursor(self) -> str:
        return f"{self.log}.{self.milliseconds}-{self.sequence}"

    @property
    def moment(self) -> datetime:
        return EPOCH + timedelta(milliseconds=self.milliseconds)

    def is_before(self, other: "Place") -> bool:
        """Of two places in one log."""
        return (self.milliseconds, self.sequence) < (other.milliseconds, other.sequence)
