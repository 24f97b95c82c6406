"""Who waits for whom.

Whoever writes a row that names an owner shares the owner's lock, and looks under it whether the owner is erased; the
lock comes before that of a task.
"""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection

from services.results.domain import OwnerId, TaskId


def share_owner(tx: Connection, owner_id: OwnerId) -> None:
    """Until the transaction ends, the owner is not erased."""
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_lock(owner_id))))


def lock_owner(tx: Connection, owner_id: OwnerId) -> None:
    """Until the transaction ends, nobody else writes anything of this owner."""
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_lock(owner_id))))


def lock_task(tx: Connection, task_id: TaskId) -> None:
    """Until the transaction ends, nobody else stores or discards anything of this task."""
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_lock(task_id))))


def _lock(of: UUID) -> sa.ColumnElement[int]:
    return sa.func.hashtextextended(str(of), 0)
