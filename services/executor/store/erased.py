"""Owners whose accounts were deleted: what is left of them, and that there was one."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql as pg

from services.executor.domain import JobId, OwnerId
from services.executor.store.tables import erased_owners, jobs, lanes, owners
from services.runtime.erasures import owner_hash

_IS_ERASED = sa.select(sa.exists().where(erased_owners.c.owner_hash == sa.bindparam("owner_hash")))


def is_erased(tx: Connection, owner_id: OwnerId) -> bool:
    """Who writes something new for the owner asks this with the owner's account locked."""
    return bool(tx.execute(_IS_ERASED, {"owner_hash": owner_hash(owner_id)}).scalar())


def remember_erased(tx: Connection, owner_id: OwnerId, now: datetime) -> None:
    """For ever. The owner's account is locked."""
    insert = pg.insert(erased_owners).values(owner_hash=owner_hash(owner_id), erased_at=now)
    tx.execute(insert.on_conflict_do_nothing())


def not_canceled_of(tx: Connection, owner_id: OwnerId) -> list[JobId]:
    """The owner's jobs that nobody has told to stop."""
    query = sa.select(jobs.c.id).where(
        jobs.c.owner_id == owner_id, jobs.c.finished_at.is_(None), jobs.c.cancel_requested.is_(False)
    )
    return [JobId(row.id) for row in tx.execute(query)]


def delete_ended_jobs(tx: Connection, owner_id: OwnerId) -> None:
    """Those of the owner's that have ended and left no picture to discard. What somebody else has locked stays."""
    ended = (
        sa.select(jobs.c.id)
        .where(jobs.c.owner_id == owner_id, jobs.c.finished_at.is_not(None), jobs.c.discard_pending.is_(False))
        .with_for_update(skip_locked=True)
    )
    tx.execute(sa.delete(jobs).where(jobs.c.id.in_(ended.scalar_subquery())))


def delete_account(tx: Connection, owner_id: OwnerId) -> bool:
    """Delete an owner's locked account; False, with nothing done, while there are jobs of the owner."""
    if tx.execute(sa.select(sa.exists().where(jobs.c.owner_id == owner_id))).scalar():
        return False
    tx.execute(sa.delete(lanes).where(lanes.c.owner_id == owner_id))
    tx.execute(sa.delete(owners).where(owners.c.id == owner_id))
    return True
