"""Keys that no row points to."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from services.results.domain import OwnerId
from services.results.store.tables import orphans


def add_orphan(tx: Connection, owner_id: OwnerId, store_key: str, now: datetime, *, doomed: bool) -> None:
    tx.execute(sa.insert(orphans).values(store_key=store_key, doomed=doomed, created_at=now, owner_id=owner_id))


def adopt_orphan(tx: Connection, store_key: str) -> bool:
    """Whether it could be: a doomed one cannot."""
    adopted = sa.delete(orphans).where(orphans.c.store_key == store_key, sa.not_(orphans.c.doomed))
    return tx.execute(adopted).rowcount == 1


def doom_orphan(tx: Connection, store_key: str) -> None:
    tx.execute(sa.update(orphans).where(orphans.c.store_key == store_key).values(doomed=True))


def doom_orphans(tx: Connection, *, older_than: datetime) -> None:
    old = sa.update(orphans).where(orphans.c.created_at < older_than, sa.not_(orphans.c.doomed))
    tx.execute(old.values(doomed=True))


def list_doomed(tx: Connection, limit: int, owner_id: OwnerId | None = None) -> Sequence[str]:
    """Oldest first; everybody's, or one owner's."""
    found = sa.select(orphans.c.store_key).where(orphans.c.doomed).order_by(orphans.c.created_at).limit(limit)
    return tx.scalars(found if owner_id is None else found.where(orphans.c.owner_id == owner_id)).all()


def remove_orphan(tx: Connection, store_key: str) -> None:
    """Its bytes are deleted."""
    tx.execute(sa.delete(orphans).where(orphans.c.store_key == store_key))
