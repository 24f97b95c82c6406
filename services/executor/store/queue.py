"""The queue: heads of lanes, owners' accounts, the clock V, and all that is unfinished."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql as pg

from services.executor.domain import EngineId, JobId, OwnerId, State
from services.executor.scheduling.fairshare import Account, Head
from services.executor.store.tables import clocks, jobs, lanes, owners, waiting, workers
from services.executor.workers import WORKER_MEMORY

HEADS = 16
"""Heads looked at for each model: as many workers may claim at once before one of them has to look again."""


def _largest_clock(which: sa.ColumnElement[bool]) -> sa.ScalarSelect[float]:
    """The largest V of those engines."""
    query = sa.select(sa.func.max(clocks.c.v)).join(workers, workers.c.engine_id == clocks.c.engine_id)
    return query.where(which).scalar_subquery()


def _clock() -> sa.ColumnElement[float]:
    """V of an engine; of one that has claimed nothing yet the largest of those that share a model with it."""
    itself = workers.alias("itself")
    own = sa.select(clocks.c.v).where(clocks.c.engine_id == sa.bindparam("engine_id")).scalar_subquery()
    models = sa.select(itself.c.models).where(itself.c.engine_id == sa.bindparam("engine_id")).scalar_subquery()
    return sa.func.coalesce(own, _largest_clock(workers.c.models.overlap(models)), 0.0)


def _heads() -> sa.Select[Any]:
    asked = sa.func.unnest(sa.bindparam("models", type_=sa.ARRAY(sa.Text))).table_valued("name")
    asked = asked.render_derived(name="asked")
    first = (
        sa.select(lanes)
        .where(lanes.c.model == asked.c.name, lanes.c.is_open)
        .order_by(lanes.c.vtime, lanes.c.queue_number)
        .limit(HEADS)
        .lateral("head")
    )
    query = sa.select(first, jobs.c.created_at, _clock().label("v")).select_from(asked).join(first, sa.true())
    return query.join(jobs, jobs.c.id == first.c.job_id)


# What each claim asks is put together once: that costs as much as the asking.
_ACCOUNT = sa.select(owners).where(owners.c.id == sa.bindparam("owner_id")).with_for_update()
_CLOCK = sa.select(_clock())
_ARRIVAL = sa.select(sa.func.coalesce(_largest_clock(sa.bindparam("model") == sa.any_(workers.c.models)), 0.0))
_HEADS = _heads()


def lock_account(tx: Connection, owner_id: OwnerId) -> Account:
    """The owner's account, locked; made if need be. Lock a job before its owner, never after."""
    while (row := tx.execute(_ACCOUNT, {"owner_id": owner_id}).first()) is None:  # an erasure may be between the two
        tx.execute(pg.insert(owners).values(id=owner_id, vtime=0).on_conflict_do_nothing())
    return Account(OwnerId(row.id), row.vtime, row.weight, row.running_cap)


def get_account(tx: Connection, owner_id: OwnerId) -> Account:
    """The owner's account as it is now, or as it would be made."""
    row = tx.execute(sa.select(owners).where(owners.c.id == owner_id)).first()
    return Account(owner_id, row.vtime, row.weight, row.running_cap) if row else Account(owner_id)


def get_clock(tx: Connection, engine_id: EngineId) -> float:
    """V of an engine; of one that has claimed nothing yet the largest of those that share a model with it."""
    return float(tx.execute(_CLOCK, {"engine_id": engine_id}).scalar_one())


def arrival_clock(tx: Connection, model: str) -> float:
    """Where an owner arrives with a job of the model: the largest V of the engines that have it."""
    return float(tx.execute(_ARRIVAL, {"model": model}).scalar_one())


def advance_clock(tx: Connection, engine_id: EngineId, v: float) -> None:
    """Raise an engine's V; it never falls, whoever commits last."""
    insert = pg.insert(clocks).values(engine_id=engine_id, v=v)
    is_later = clocks.c.v < insert.excluded.v
    tx.execute(insert.on_conflict_do_update(index_elements=[clocks.c.engine_id], set_={"v": v}, where=is_later))


def has_waiting(tx: Connection, owner_id: OwnerId) -> bool:
    return bool(tx.execute(sa.select(sa.exists().where(lanes.c.owner_id == owner_id))).scalar())


def waiting_cost_of(tx: Connection, owner_id: OwnerId) -> float | None:
    """What an owner's waiting jobs will probably take, in GPU-seconds; None if none waits."""
    line = sa.and_(jobs.c.owner_id == lanes.c.owner_id, jobs.c.model == lanes.c.model, waiting)
    query = sa.select(sa.func.sum(jobs.c.cost)).select_from(lanes).join(jobs, line).where(lanes.c.owner_id == owner_id)
    return tx.execute(query).scalar()


def held_of(tx: Connection, owner_id: OwnerId) -> int:
    """How many of an owner's jobs workers hold."""
    query = sa.select(sa.func.count()).where(jobs.c.owner_id == owner_id, jobs.c.engine_id.is_not(None))
    return tx.execute(query).scalar_one()


# One statement, because this is done three times for each picture. Its parts see the same snapshot, so the lane whose
# head is set anew is left out of the update of the others.
_SAVE_ACCOUNT = sa.text("""
    WITH account AS (
        UPDATE owners SET vtime = :vtime, weight = :weight, running_cap = :own_cap WHERE id = :owner_id
    ), standing AS (
        SELECT :cap IS NULL OR :cap > (SELECT count(*) FROM jobs WHERE owner_id = :owner_id AND engine_id IS NOT NULL)
            AS is_open
    ), others AS (
        UPDATE lanes SET vtime = :vtime, is_open = standing.is_open FROM standing
        WHERE owner_id = :owner_id AND model IS DISTINCT FROM :model
            AND (vtime, lanes.is_open) IS DISTINCT FROM (:vtime, standing.is_open)
    ), head AS (
        SELECT id, queue_number FROM jobs
        WHERE owner_id = :owner_id AND model = :model AND state = 'pending' AND engine_id IS NULL
        ORDER BY queue_number LIMIT 1
    ), gone AS (
        DELETE FROM lanes WHERE owner_id = :owner_id AND model = :model AND NOT EXISTS (SELECT FROM head)
    )
    INSERT INTO lanes (owner_id, model, job_id, queue_number, vtime, is_open)
    SELECT :owner_id, :model, id, queue_number, :vtime, is_open FROM head, standing
    ON CONFLICT (owner_id, model) DO UPDATE SET
        job_id = excluded.job_id, queue_number = excluded.queue_number,
        vtime = excluded.vtime, is_open = excluded.is_open
""").bindparams(
    sa.bindparam("owner_id", type_=sa.Uuid),
    sa.bindparam("model", type_=sa.Text),
    sa.bindparam("cap", type_=sa.Integer),
    sa.bindparam("own_cap", type_=sa.Integer),
    sa.bindparam("vtime", type_=sa.Double),
)


def save_account(tx: Connection, account: Account, model: str | None, cap: int | None) -> None:
    """Write an account that this transaction has locked, and make the owner's lanes true again.

    `model` names the line of waiting jobs that has changed, if one has. `cap`: most jobs that workers may hold of the
    owner; None for no cap.
    """
    values = {
        "owner_id": account.owner_id,
        "vtime": account.vtime,
        "weight": account.weight,
        "own_cap": account.running_cap,
        "model": model,
        "cap": cap,
    }
    tx.execute(_SAVE_ACCOUNT, values)


def heads(tx: Connection, models: Collection[str], engine_id: EngineId) -> tuple[list[Head], float]:
    """Of each model the heads with the smallest starts, and the V of the engine. Reads as much of any queue."""
    rows = tx.execute(_HEADS, {"models": sorted(models), "engine_id": engine_id}).all()
    found = [Head(JobId(row.job_id), row.model, row.vtime, row.queue_number, row.created_at) for row in rows]
    return found, float(rows[0].v) if rows else 0.0


def waits(tx: Connection, model: str) -> bool:
    """Whether a job of the model could be claimed."""
    return bool(tx.execute(sa.select(sa.exists().where(lanes.c.model == model, lanes.c.is_open))).scalar())


def unknown_models(tx: Connection, known: Collection[str], now: datetime) -> list[str]:
    """Models that jobs wait for, and that neither this process nor any worker that is not forgotten knows."""
    is_known = sa.or_(lanes.c.model == sa.any_(workers.c.models), workers.c.missing.has_key(lanes.c.model))
    by_whom = sa.exists().where(workers.c.seen_at > now - WORKER_MEMORY, is_known)
    query = sa.select(lanes.c.model).distinct().where(lanes.c.model.not_in(known), ~by_whom)
    return list(tx.execute(query).scalars())


def waiting_for(tx: Connection, models: Collection[str], limit: int) -> list[JobId]:
    """Jobs in the queue for these models."""
    query = sa.select(jobs.c.id).where(jobs.c.model.in_(models), waiting).limit(limit)
    return [JobId(row.id) for row in tx.execute(query)]


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """An unfinished job: its work in pixels × steps × pictures; whether its owner is at the running cap.

    `start`: of a waiting one the virtual time at which fair share would start it if nothing more arrived.
    """

    job_id: JobId
    model: str
    work: float
    start: float
    queue_number: int
    created_at: datetime
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
    start = owners.c.vtime + before_own
    query = (
        sa.select(
            jobs.c.id,
            jobs.c.model,
            (sa.cast(jobs.c.width, sa.Double) * jobs.c.height * jobs.c.steps * jobs.c.count).label("work"),
            start.label("start"),
            jobs.c.queue_number,
            jobs.c.created_at,
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
            row.start,
            row.queue_number,
            row.created_at,
            row.engine_id and EngineId(row.engine_id),
            row.started_at,
            bool(row.is_capped),
            row.has_promise,
        )
        for row in tx.execute(query)
    ]


@dataclass(frozen=True)
class QueueLoad:
    """The unfinished jobs for a model: how many wait and are held by workers, what the waiting ones will probably
    take in GPU-seconds, and how long the first of them has waited.
    """

    model: str
    waiting: int
    running: int
    backlog: float
    oldest_wait: timedelta | None


def queues(tx: Connection, now: datetime) -> list[QueueLoad]:
    """Of every model with unfinished jobs, in order of its name. Reads all of these jobs once."""
    is_waiting = jobs.c.engine_id.is_(None)
    query = (
        sa.select(
            jobs.c.model,
            sa.func.count().filter(is_waiting).label("waiting"),
            sa.func.count().filter(~is_waiting).label("running"),
            sa.func.coalesce(sa.func.sum(jobs.c.cost).filter(is_waiting), 0.0).label("backlog"),
            sa.func.min(jobs.c.created_at).filter(is_waiting).label("oldest_at"),
        )
        .where(jobs.c.finished_at.is_(None))
        .group_by(jobs.c.model)
        .order_by(jobs.c.model)
    )
    return [
        QueueLoad(row.model, row.waiting, row.running, row.backlog, row.oldest_at and now - row.oldest_at)
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
