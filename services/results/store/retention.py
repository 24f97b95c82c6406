"""How long pictures stay, and which are kept whatever their age.

A picture's clock begins when nobody keeps it any more: when it was stored, stopped being a favorite (`let_go_at`), or
when its last share link ended. It never begins before retention itself did, nor before that was last made shorter:
nobody wakes up to an empty gallery.
"""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from services.results.domain import OwnerId, ResultId, TaskId
from services.results.store.tables import results, retention, shares

_PERIOD = sa.func.make_interval(0, 0, 0, 0, 24 * retention.c.days, type_=sa.Interval)
"""In hours: a day of an interval may have 23 or 25 of them, as the server's time zone has it."""


_SHARE_END = sa.func.coalesce(sa.func.least(shares.c.revoked_at, shares.c.expires_at), sa.text("'infinity'"))


def is_kept(source: sa.FromClause, after: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """Of rows of `results`, or what has their columns: a favorite, or shared by a link that opens it after a moment."""
    shared = sa.exists().where(shares.c.result_id == source.c.id, after < _SHARE_END)
    return sa.or_(source.c.favorite, shared.correlate(source))


def expires_at(source: sa.FromClause) -> sa.Label[datetime | None]:
    """Of rows of `results`, or what has their columns: when it is deleted; NULL if it stays."""
    shared = sa.select(sa.func.max(_SHARE_END)).where(shares.c.result_id == source.c.id).correlate(source)
    begun = sa.func.greatest(source.c.let_go_at, retention.c.since, shared.scalar_subquery())
    when = sa.select(begun + _PERIOD).where(sa.not_(is_kept(source, sa.func.now())))
    return when.correlate(source).scalar_subquery().label("expires_at")


def is_expired(now: datetime) -> sa.ColumnElement[bool]:
    """Of a row of `results`: `expires_at` has come. In a form that an index answers."""
    latest = sa.literal(now, sa.DateTime(timezone=True)) - _PERIOD
    let_go_by = sa.select(latest).where(retention.c.since <= latest).scalar_subquery()
    return sa.and_(results.c.let_go_at <= let_go_by, sa.not_(is_kept(results, let_go_by)))


def list_expired(tx: Connection, now: datetime, limit: int) -> list[tuple[OwnerId, TaskId]]:
    """Whose pictures of which tasks have expired, longest ago first: of so many pictures."""
    expired = sa.select(results.c.owner_id, results.c.task_id).where(is_expired(now))
    found = tx.execute(expired.order_by(results.c.let_go_at).limit(limit))
    return list(dict.fromkeys((OwnerId(row.owner_id), TaskId(row.task_id)) for row in found))


def lock_expired(tx: Connection, owner_id: OwnerId, task_id: TaskId, now: datetime) -> Mapping[ResultId, int]:
    """Those of the task that have expired and that nobody can keep any more, with their indexes.

    Who is just marking or sharing a result holds its row, and the row is passed over; who is just changing a link is
    waited for. Once both are held, a second look says whether somebody came first: the statement that took a lock
    does not see what other tables have got since it began.
    """
    of_task = (results.c.owner_id == owner_id, results.c.task_id == task_id)
    free = sa.select(results.c.id).where(*of_task, is_expired(now)).with_for_update(skip_locked=True)
    held = tx.scalars(free).all()
    links = sa.select(shares.c.id).where(shares.c.result_id.in_(held)).order_by(shares.c.id)
    tx.execute(links.with_for_update(key_share=True))
    again = sa.select(results.c.id, results.c.index).where(results.c.id.in_(held), is_expired(now))
    return {ResultId(result_id): index for result_id, index in tx.execute(again)}


def get_retention_days(tx: Connection) -> int | None:
    """None: pictures stay."""
    return tx.execute(sa.select(retention.c.days)).scalar_one_or_none()


def set_retention_days(tx: Connection, days: int, now: datetime) -> None:
    """0: pictures stay. May be repeated: only what makes a picture's life shorter begins now."""
    if not days:
        tx.execute(sa.delete(retention))
        return
    new = insert(retention).values(days=days, since=now)
    since = sa.case((new.excluded.days < retention.c.days, new.excluded.since), else_=retention.c.since)
    changed = new.on_conflict_do_update(
        index_elements=[retention.c.only_row],
        set_={"days": new.excluded.days, "since": since},
        where=retention.c.days != new.excluded.days,
    )
    tx.execute(changed)
