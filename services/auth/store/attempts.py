"""What has been tried lately, and whether once more is too often.

GCRA: of each key only the moment is kept at which all that was tried will have been made up for (`tat`, the
theoretical arrival time). It may lie a burst ahead of now, no more.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql as pg

from services.auth.domain import Attempt, TooManyAttempts
from services.auth.store.tables import attempts


def reserve(tx: Connection, wanted: Sequence[Attempt], now: datetime) -> None:
    """Count these, all or none. Raises TooManyAttempts; what was counted before it, the rollback takes back."""
    for attempt in wanted:
        interval, burst = attempt.limit.interval, attempt.limit.burst
        first = pg.insert(attempts).values(key=attempt.key, tat=now + interval)
        moved = sa.func.greatest(attempts.c.tat, now, type_=sa.DateTime(timezone=True)) + interval
        counted = first.on_conflict_do_update(
            index_elements=[attempts.c.key], set_={"tat": moved}, where=moved <= now + burst
        )
        if tx.execute(counted.returning(attempts.c.tat)).one_or_none() is None:
            tat = tx.execute(sa.select(attempts.c.tat).where(attempts.c.key == attempt.key)).scalar_one()
            raise TooManyAttempts((tat + interval - (now + burst)).total_seconds())


def give_back(tx: Connection, reserved: Sequence[Attempt]) -> None:
    """These do not count after all."""
    for attempt in reserved:
        ours = sa.update(attempts).where(attempts.c.key == attempt.key)
        tx.execute(ours.values(tat=attempts.c.tat - attempt.limit.interval))


def remove_forgotten_attempts(tx: Connection, now: datetime) -> None:
    """Those that are made up for, and say no more than a missing row."""
    tx.execute(sa.delete(attempts).where(attempts.c.tat <= now))
