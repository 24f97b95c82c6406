"""The queue: heads of lanes, owners' accounts, the clock V, and all that is unfinished."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql as pg

from services.executor.domain import EngineId, JobId, OwnerId, State
from services.executor.fairshare import MOST_LAG, Account, Head
from services.executor.store.tables import fair_share_clock, jobs, lanes, owners

HEADS = 16
"""Heads looked at for each model: as many workers may claim at once before one of them has to look again."""


def lock_account(tx: Connection, owner_id: OwnerId) -> Account:
    """The owner's account, locked; made if need be. Lock a job before its owner, never after."""
    tx.execute(pg.insert(owners).values(id=owner_id, vtime=0).on_conflict_do_nothing())
    row = tx.execute(sa.select(owners).where(owners.c.id == owner_id).with_for_update()).one()
    return Account(OwnerId(row.id), row.vtime, row.weight, row.running_cap)


def save_account(tx: Connection, account: Account) -> None:
    columns = {"vtime": account.vtime, "weight": account.weight, "running_cap": account.running_cap}
    tx.execute(sa.update(owners).where(owners.c.id == account.owner_id).values(columns))


def get_clock(tx: Connection) -> float:
    return float(tx.execute(sa.select(fair_share_clock.c.v)).scalar_one())


def advance_clock(tx: Connection, v: float) -> None:
    """Raise V; it never falls, whoever commits last."""
    tx.execute(sa.update(fair_share_clock).where(fair_share_clock.c.v < v).values(v=v))


def has_waiting(tx: Connection, owner_id: OwnerId) -> bool:
    return bool(tx.execute(sa.select(sa.exists().where(lanes.c.owner_id == owner_id))).scalar())


_SET_HEAD = sa.text("""
    WITH head AS (
        SELECT id, queue_number FROM jobs
        WHERE owner_id = :owner_id AND model = :model AND state = 'pending' AND engine_id IS NULL
        ORDER BY queue_number LIMIT 1
    ), gone AS (
        DELETE FROM lanes WHERE owner_id = :owner_id AND model = :model AND NOT EXISTS (SELECT FROM head)
    )
    INSERT INTO lanes (owner_id, model, job_id, queue_number, vtime, is_open)
    SELECT :owner_id, :model, id, queue_number, :vtime, false FROM head
    ON CONFLICT (owner_id, model) DO UPDATE SET job_id = excluded.job_id, queue_number = excluded.queue_number
""")

_SET_STANDING = sa.text("""
    WITH cap AS (
        SELECT :cap IS NULL OR :cap > (SELECT count(*) FROM jobs WHERE owner_id = :owner_id AND engine_id IS NOT NULL)
            AS is_open
    )
    UPDATE lanes SET vtime = :vtime, is_open = cap.is_open FROM cap
    WHERE owner_id = :owner_id AND (vtime, lanes.is_open) IS DISTINCT FROM (:vtime, cap.is_open)
""").bindparams(sa.bindparam("cap", type_=sa.Integer), sa.bindparam("vtime", type_=sa.Double))


def set_lanes(tx: Connection, account: Account, model: str | None, cap: int | None) -> None:
    """Make an owner's lanes true again after a change of the account or, in one model's line, of its waiting jobs.

    The account is locked. `cap`: most jobs that workers may hold of it; None for no cap.
    """
    values = {"owner_id": account.owner_id, "vtime": account.vtime}
    if model is not None:
        tx.execute(_SET_HEAD, values | {"model": model})
    tx.execute(_SET_STANDING, values | {"cap": cap})


def heads(tx: Connection, models: Collection[str]) -> list[Head]:
    """Of each model the heads with the smallest starts. Reads as much, however long the queue is."""
    names = sa.func.unnest(sa.cast(sorted(models), sa.ARRAY(sa.Text))).table_valued("name").alias("models")
    first = (
        sa.select(lanes)
        .where(lanes.c.model == names.c.name, lanes.c.is_open)
        .order_by(lanes.c.vtime, lanes.c.queue_number)
        .limit(HEADS)
        .lateral("head")
    )
    query = sa.select(first, jobs.c.created_at).select_from(names).join(first, sa.true())
    query = query.join(jobs, jobs.c.id == first.c.job_id)
    return [
        Head(JobId(row.job_id), row.model, row.vtime, row.queue_number, row.created_at) for row in tx.execute(query)
    ]


def waits(tx: Connection, model: str) -> bool:
    """Whether a job of the model could be claimed."""
    return bool(tx.execute(sa.select(sa.exists().where(lanes.c.model == model, lanes.c.is_open))).scalar())


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """An unfinished job: its work in pixels × steps × pictures; whether its owner is at the running cap."""

    job_id: JobId
    model: str
    work: float
    engine_id: EngineId | None
    started_at: datetime | None
    is_capped: bool
    has_promise: bool


def unfinished(tx: Connection) -> list[QueuedJob]:
    """Held jobs first, in the order in which their engines took them, then waiting ones as fair share would start
    them if nothing more arrived.
    """
    is_waiting = jobs.c.engine_id.is_(None)
    share = sa.case((is_waiting, jobs.c.cost / owners.c.weight), else_=0.0)
    before_own = sa.func.sum(share).over(partition_by=jobs.c.owner_id, order_by=jobs.c.queue_number) - share
    clock = sa.select(fair_share_clock.c.v - MOST_LAG).scalar_subquery()
    start = sa.func.greatest(owners.c.vtime, clock) + before_own
    query = (
        sa.select(
            jobs.c.id,
            jobs.c.model,
            (sa.cast(jobs.c.width, sa.Double) * jobs.c.height * jobs.c.steps * jobs.c.count).label("work"),
            jobs.c.engine_id,
            jobs.c.started_at,
            sa.and_(is_waiting, lanes.c.is_open.is_(False)).label("is_capped"),
            jobs.c.forecast_at.is_not(None).label("has_promise"),
        )
        .join(owners, owners.c.id == jobs.c.owner_id)
        .outerjoin(lanes, sa.and_(lanes.c.owner_id == jobs.c.owner_id, lanes.c.model == jobs.c.model))
        .where(jobs.c.finished_at.is_(None))
        .order_by(is_waiting, jobs.c.started_at.nulls_last(), start, jobs.c.queue_number)
    )
    return [
        QueuedJob(
            JobId(row.id),
            row.model,
            row.work,
            row.engine_id and EngineId(row.engine_id),
            row.started_at,
            bool(row.is_capped),
            row.has_promise,
        )
        for row in tx.execute(query)
    ]


@dataclass(frozen=True)
class OwnerLoad:
    """An account and how many of its jobs wait and are held by workers."""

    account: Account
    waiting: int
    running: int


def busiest_owners(tx: Connection, limit: int) -> list[OwnerLoad]:
    """Owners with unfinished jobs, those with the most waiting ones first."""
    is_held = jobs.c.engine_id.is_not(None)
    waiting = sa.func.count().filter(sa.and_(jobs.c.state == State.PENDING, ~is_held))
    query = (
        sa.select(owners, waiting.label("waiting"), sa.func.count().filter(is_held).label("running"))
        .join(jobs, jobs.c.owner_id == owners.c.id)
        .where(jobs.c.finished_at.is_(None))
        .group_by(owners.c.id)
        .order_by(waiting.desc(), owners.c.id)
        .limit(limit)
    )
    return [
        OwnerLoad(Account(OwnerId(row.id), row.vtime, row.weight, row.running_cap), row.waiting, row.running)
        for row in tx.execute(query)
    ]


def owner_load(tx: Connection, account: Account) -> OwnerLoad:
    is_held = jobs.c.engine_id.is_not(None)
    query = sa.select(sa.func.count().filter(~is_held), sa.func.count().filter(is_held)).where(
        jobs.c.owner_id == account.owner_id, jobs.c.finished_at.is_(None)
    )
    waiting, running = tx.execute(query).one()
    return OwnerLoad(account, waiting, running)
