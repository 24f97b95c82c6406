"""What an owner's pictures take: a sum that is kept in the transactions that change what it sums up.

Its row is the last lock that such a transaction waits for, so that no two wait for each other.
"""

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from services.results.domain import OwnerId, Usage
from services.results.store.tables import usage


def get_usage(tx: Connection, owner_id: OwnerId) -> Usage:
    found = sa.select(usage.c.used_bytes, usage.c.pictures).where(usage.c.owner_id == owner_id)
    row = tx.execute(found).first()
    return Usage(row.used_bytes, row.pictures) if row else Usage(0, 0)


def get_total_usage(tx: Connection) -> Usage:
    """Of all owners."""
    sums = (sa.func.coalesce(sa.func.sum(column), 0) for column in (usage.c.used_bytes, usage.c.pictures))
    used_bytes, pictures = tx.execute(sa.select(*sums)).one()
    return Usage(int(used_bytes), int(pictures))


def add_usage(tx: Connection, owner_id: OwnerId, size_bytes: int) -> None:
    """Of one more picture."""
    added = insert(usage).values(owner_id=owner_id, used_bytes=size_bytes, pictures=1)
    sums = {name: usage.c[name] + added.excluded[name] for name in ("used_bytes", "pictures")}
    tx.execute(added.on_conflict_do_update(index_elements=[usage.c.owner_id], set_=sums))


def reduce_usage(tx: Connection, owner_id: OwnerId, *, pictures: int, size_bytes: int) -> None:
    """Of an erased owner there is none."""
    reduced = sa.update(usage).where(usage.c.owner_id == owner_id)
    tx.execute(reduced.values(used_bytes=usage.c.used_bytes - size_bytes, pictures=usage.c.pictures - pictures))


def delete_usage(tx: Connection, owner_id: OwnerId) -> None:
    tx.execute(sa.delete(usage).where(usage.c.owner_id == owner_id))
