"""Every SQL statement of results.

`tombstones` hold what must not come back: one picture of a task, or (index NULL) all that it would ever store. They
are kept as long as their owner is.

`orphans` are keys that no result points to, though bytes may lie under them: on their way in, or doomed to deletion.
A key is an orphan from before its first byte is written until a result adopts it, and again from the moment that the
result is deleted until its bytes are; so whatever a crash leaves behind is listed here. A doomed key cannot be
adopted, hence no result ever points to bytes that are being deleted.

Of an erased owner only a hash is left. Whoever writes a row that names an owner shares the owner's lock, and looks for
the hash under it; the lock comes before that of a task.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from services.results.domain import OwnerId, Result, ResultId, ResultNotFound, TaskId
from services.runtime.erasures import owner_hash

metadata = sa.MetaData()

results = sa.Table(
    "results",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("task_id", sa.Uuid, nullable=False),
    sa.Column("owner_id", sa.Uuid, nullable=False),
    sa.Column("index", sa.Integer, nullable=False),
    sa.Column("image_url", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("task_id", "index", name="results_task_id_index_key"),
    sa.Index("results_owner_id_id_idx", "owner_id", "id"),
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("task_id", sa.Uuid, nullable=False),
    sa.Column("index", sa.Integer),
    sa.Column("owner_id", sa.Uuid, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("task_id", "index", name="tombstones_task_id_index_key", postgresql_nulls_not_distinct=True),
    sa.Index("tombstones_owner_id_idx", "owner_id"),
)

orphans = sa.Table(
    "orphans",
    metadata,
    sa.Column("store_key", sa.Text, primary_key=True),
    sa.Column("doomed", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("owner_id", sa.Uuid),
)

erased_owners = sa.Table(
    "erased_owners",
    metadata,
    sa.Column("owner_hash", sa.LargeBinary, primary_key=True),
    sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
)


def share_owner(tx: Connection, owner_id: OwnerId) -> None:
    """Until the transaction ends, the owner is not erased."""
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_lock(owner_id))))


def lock_owner(tx: Connection, owner_id: OwnerId) -> None:
    """Until the transaction ends, nobody else writes anything of this owner."""
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_lock(owner_id))))


def lock_task(tx: Connection, task_id: TaskId) -> None:
    """Until the transaction ends, nobody else stores or discards anything of this task."""
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_lock(task_id))))


def is_erased(tx: Connection, owner_id: OwnerId) -> bool:
    found = sa.select(erased_owners.c.owner_hash).where(erased_owners.c.owner_hash == owner_hash(owner_id))
    return tx.execute(found).first() is not None


def find_result(tx: Connection, task_id: TaskId, index: int) -> Result | None:
    found = sa.select(results).where(results.c.task_id == task_id, results.c.index == index)
    row = tx.execute(found).mappings().one_or_none()
    return Result(**row) if row else None


def is_discarded(tx: Connection, task_id: TaskId, index: int) -> bool:
    this_or_all = sa.or_(tombstones.c.index == index, tombstones.c.index.is_(None))
    found = sa.select(tombstones.c.task_id).where(tombstones.c.task_id == task_id, this_or_all)
    return tx.execute(found).first() is not None


def add_result(tx: Connection, result: Result) -> None:
    tx.execute(sa.insert(results).values(asdict(result)))


def get_result(tx: Connection, owner_id: OwnerId, result_id: ResultId) -> Result:
    """Raises ResultNotFound, also if it is somebody else's."""
    return _one(tx, results.c.owner_id == owner_id, results.c.id == result_id)


def get_linked_result(tx: Connection, result_id: ResultId) -> Result:
    """For who has shown a link of this result. Raises ResultNotFound."""
    return _one(tx, results.c.id == result_id)


def list_newest(tx: Connection, owner_id: OwnerId, *, before: UUID | None, limit: int) -> list[Result]:
    """Newest first (ids are UUIDv7 and sort by time), beginning after the result `before`."""
    found = sa.select(results).where(results.c.owner_id == owner_id).order_by(results.c.id.desc()).limit(limit)
    if before:
        found = found.where(results.c.id < before)
    return [Result(**row) for row in tx.execute(found).mappings()]


def list_of_tasks(tx: Connection, owner_id: OwnerId, task_ids: Collection[TaskId]) -> list[Result]:
    """By task and index."""
    found = (
        sa.select(results)
        .where(results.c.owner_id == owner_id, results.c.task_id.in_(task_ids))
        .order_by(results.c.task_id, results.c.index)
    )
    return [Result(**row) for row in tx.execute(found).mappings()]


def delete_result(tx: Connection, owner_id: OwnerId, result_id: ResultId) -> None:
    """Raises ResultNotFound."""
    gone = sa.delete(results).where(results.c.owner_id == owner_id, results.c.id == result_id)
    if not tx.execute(gone).rowcount:
        raise ResultNotFound


def delete_results_of_task(tx: Connection, owner_id: OwnerId, task_id: TaskId) -> list[str]:
    """The keys of what is no longer there."""
    gone = sa.delete(results).where(results.c.owner_id == owner_id, results.c.task_id == task_id)
    return list(tx.scalars(gone.returning(results.c.image_url)))


def add_tombstone(tx: Connection, owner_id: OwnerId, task_id: TaskId, index: int | None, now: datetime) -> None:
    """For one picture of the task, or (None) for all of them."""
    values = {"task_id": task_id, "index": index, "owner_id": owner_id, "created_at": now}
    tx.execute(insert(tombstones).values(values).on_conflict_do_nothing())


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


def remember_erased(tx: Connection, owner_id: OwnerId, now: datetime) -> None:
    """May be repeated."""
    erased = insert(erased_owners).values(owner_hash=owner_hash(owner_id), erased_at=now)
    tx.execute(erased.on_conflict_do_nothing())


def doom_results(tx: Connection, owner_id: OwnerId, now: datetime, limit: int) -> int:
    """Delete so many of the owner's results, or all that are left; how many those were. Their keys become orphans."""
    some = sa.select(results.c.id).where(results.c.owner_id == owner_id).limit(limit)
    gone = sa.delete(results).where(results.c.id.in_(some)).returning(results.c.image_url).cte("gone")
    keys = sa.select(gone.c.image_url, sa.true(), sa.literal(now), sa.literal(owner_id, sa.Uuid))
    return tx.execute(sa.insert(orphans).from_select(["store_key", "doomed", "created_at", "owner_id"], keys)).rowcount


def delete_tombstones(tx: Connection, owner_id: OwnerId) -> None:
    tx.execute(sa.delete(tombstones).where(tombstones.c.owner_id == owner_id))


def may_have_orphans(tx: Connection, owner_id: OwnerId) -> bool:
    """Also true while there are orphans of nobody knows whom, from before owners were noted; a sweep ends them."""
    found = sa.select(orphans.c.store_key).where(sa.or_(orphans.c.owner_id == owner_id, orphans.c.owner_id.is_(None)))
    return tx.execute(found.limit(1)).first() is not None


def _lock(of: UUID) -> sa.ColumnElement[int]:
    return sa.func.hashtextextended(str(of), 0)


def _one(tx: Connection, *conditions: sa.ColumnElement[bool]) -> Result:
    row = tx.execute(sa.select(results).where(*conditions)).mappings().one_or_none()
    if row is None:
        raise ResultNotFound
    return Result(**row)
