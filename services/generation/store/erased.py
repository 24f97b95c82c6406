"""Owners whose accounts were deleted: of them only a hash is left.

Whoever writes something new for an owner looks for it under the owner's lock.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql as pg

from services.generation.domain import OwnerId
from services.generation.store.tables import erased_owners
from services.runtime.erasures import owner_hash


def is_erased(tx: Connection, owner_id: OwnerId) -> bool:
    found = sa.select(erased_owners.c.owner_hash).where(erased_owners.c.owner_hash == owner_hash(owner_id))
    return tx.execute(found).first() is not None


def remember_erased(tx: Connection, owner_id: OwnerId, now: datetime) -> None:
    """May be repeated."""
    erased = pg.insert(erased_owners).values(owner_hash=owner_hash(owner_id), erased_at=now)
    tx.execute(erased.on_conflict_do_nothing())
