"""The one way in which results go: with everything that hangs on them, all their bytes doomed, and off the sum."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from services.results.domain import OwnerId, ResultId, ResultNotFound, TaskId
from services.results.store.tables import orphans, results, variants
from services.results.store.usage import reduce_usage


@dataclass(frozen=True)
class Deleted:
    """How many results, and the keys whose bytes may be deleted once the transaction has ended."""

    results: int
    keys: Sequence[str]


def delete_result(tx: Connection, owner_id: OwnerId, result_id: ResultId, now: datetime) -> Deleted:
    """Raises ResultNotFound."""
    deleted = delete_results(tx, now, results.c.owner_id == owner_id, results.c.id == result_id)
    if not deleted.results:
        raise ResultNotFound
    return deleted


def delete_some(tx: Connection, owner_id: OwnerId, result_ids: Sequence[ResultId], now: datetime) -> Deleted:
    """Those that are there."""
    return delete_results(tx, now, results.c.owner_id == owner_id, results.c.id.in_(result_ids))


def delete_results_of_task(tx: Connection, owner_id: OwnerId, task_id: TaskId, now: datetime) -> Deleted:
    return delete_results(tx, now, results.c.owner_id == owner_id, results.c.task_id == task_id)


def delete_results_of_owner(tx: Connection, owner_id: OwnerId, now: datetime, limit: int) -> Deleted:
    """So many of them, or all that are left."""
    return delete_results(tx, now, results.c.owner_id == owner_id, limit=limit)


def delete_results(
    tx: Connection, now: datetime, *conditions: sa.ColumnElement[bool], limit: int | None = None
) -> Deleted:
    """Those for which the conditions hold, or `limit` of them."""
    # Locked first, so that whoever is just hanging something on them comes before what follows, or finds them gone.
    columns = (results.c.id, results.c.owner_id, results.c.image_url, results.c.size_bytes)
    found = sa.select(*columns).where(*conditions)
    # In one order, so that two who delete many do not wait for each other.
    rows = tx.execute(found.order_by(results.c.id).limit(limit).with_for_update()).all()
    if not rows:
        return Deleted(0, [])
    owners = {row.id: row.owner_id for row in rows}
    keys = {row.image_url: row.owner_id for row in rows}
    made = sa.delete(variants).where(variants.c.result_id.in_(owners))
    for variant in tx.execute(made.returning(variants.c.store_key, variants.c.result_id)):
        keys[variant.store_key] = owners[variant.result_id]
    tx.execute(sa.delete(results).where(results.c.id.in_(owners)))
    doomed = [{"store_key": key, "doomed": True, "created_at": now, "owner_id": owner} for key, owner in keys.items()]
    tx.execute(sa.insert(orphans), doomed)
    for owner in sorted(set(owners.values())):
        sizes = [row.size_bytes for row in rows if row.owner_id == owner]
        reduce_usage(tx, owner, pictures=len(sizes), size_bytes=sum(sizes))
    return Deleted(len(rows), list(keys))
