"""Owners whose accounts were deleted, and what of theirs is still there."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from services.results.domain import OwnerId
from services.results.store.tables import erased_owners, orphans, tombstones
from services.runtime.erasures import owner_hash


def is_erased(tx: Connection, owner_id: OwnerId) -> bool:
    found = sa.select(erased_owners.c.owner_hash).where(erased_owners.c.owner_hash == owner_hash(owner_id))
    return tx.execute(found).first() is not None


def remember_erased(tx: Connection, owner_id: OwnerId, now: datetime) -> None:
    """May be repeated."""
    erased = insert(erased_owners).values(owner_hash=owner_hash(owner_id), erased_at=now)
    tx.execute(erased.on_conflict_do_nothing())


def delete_tombstones(tx: Connection, owner_id: OwnerId) -> None:
    tx.execute(sa.delete(tombstones).where(tombstones.c.owner_id == owner_id))


def may_have_orphans(tx: Connection, owner_id: OwnerId) -> bool:
    """Also true while there are orphans of nobody knows whom, from before owners were noted; a sweep ends them."""
    found = sa.select(orphans.c.store_key).where(sa.or_(orphans.c.owner_id == owner_id, orphans.c.owner_id.is_(None)))
    return tx.execute(found.limit(1)).first() is not None
