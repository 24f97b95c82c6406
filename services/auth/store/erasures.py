"""Accounts that are deleted, and who has yet to forget them."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from services.auth.domain import ERASING_CONTEXTS, UserId
from services.auth.store.tables import erasures

PAGE = 100


def add_erasure(tx: Connection, user_id: UserId, user_hash: bytes, now: datetime) -> None:
    row = {"user_hash": user_hash, "user_id": user_id, "pending": list(ERASING_CONTEXTS), "created_at": now}
    tx.execute(sa.insert(erasures).values(row))


def list_erasures(tx: Connection, context: str) -> Sequence[UserId]:
    """Whom this context has yet to forget, oldest first."""
    unfinished = erasures.c.user_id.is_not(None)  # the few that the index finds, however many have been forgotten
    found = sa.select(erasures.c.user_id).where(unfinished, erasures.c.pending.contains([context]))
    return tx.execute(found.order_by(erasures.c.created_at).limit(PAGE)).scalars().all()


def acknowledge_erasure(tx: Connection, user_id: UserId, context: str, now: datetime) -> None:
    """This context has forgotten the account. With the last one, so has auth."""
    left = sa.func.array_remove(erasures.c.pending, context)
    is_last = sa.func.cardinality(left) == 0
    tx.execute(
        sa.update(erasures)
        .where(erasures.c.user_id == user_id)
        .values(
            pending=left,
            user_id=sa.case((is_last, None), else_=erasures.c.user_id),
            finished_at=sa.case((is_last, now), else_=None),
        )
    )
