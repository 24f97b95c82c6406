"""Every SQL statement of the executor."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.dialects import postgresql as pg

from services.executor.domain import (
    EngineId,
    Failure,
    FailureReason,
    Job,
    JobId,
    Lease,
    OwnerId,
    PromptId,
    Spec,
    State,
    Worker,
)
from services.executor.fairshare import Account, Head

metadata = sa.MetaData()

_moment = sa.DateTime(timezone=True)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("queue_number", sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.Column("owner_id", sa.Uuid, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("negative_prompt", sa.Text, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("steps", sa.Integer, nullable=False),
    sa.Column("cfg", sa.Double, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("lease_epoch", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("engine_id", sa.Uuid),
    sa.Column("prompt_id", sa.Uuid),
    sa.Column("lease_expires_at", _moment),
    sa.Column("cost", sa.Double, nullable=False),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("discard_pending", sa.Boolean, nullable=False),
    sa.Column("failure_reason", sa.Text),
    sa.Column("failure_message", sa.Text),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("created_at", _moment, nullable=False),
    sa.Column("started_at", _moment),
    sa.Column("finished_at", _moment),
)
waiting = sa.and_(jobs.c.state == State.PENDING, jobs.c.engine_id.is_(None))
sa.Index("jobs_waiting", jobs.c.model, jobs.c.owner_id, jobs.c.queue_number, postgresql_where=waiting)
sa.Index("jobs_leased", jobs.c.lease_expires_at, postgresql_where=jobs.c.lease_expires_at.is_not(None))
sa.Index("jobs_to_discard", jobs.c.id, postgresql_where=jobs.c.discard_pending)

owners = sa.Table(
    "owners",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("vtime", sa.Double, nullable=False),
    sa.Column("weight", sa.Double, nullable=False, server_default="1"),
)

fair_share_clock = sa.Table(
    "fair_share_clock",
    metadata,
    sa.Column("only_row", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("v", sa.Double, nullable=False),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("engine_id", sa.Uuid, primary_key=True),
    sa.Column("models", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("engine_version", sa.Text, nullable=False),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("vram_total", sa.BigInteger, nullable=False),
    sa.Column("healthy", sa.Boolean, nullable=False),
    sa.Column("seen_at", _moment, nullable=False),
)


def insert_job(tx: Connection, job: Job) -> bool:
    """Write a new job and, if need be, its owner's account. False if the id is there already."""
    inserted = tx.execute(
        pg.insert(jobs).values(id=job.id, **_columns(job)).on_conflict_do_nothing().returning(jobs.c.id)
    ).first()
    tx.execute(pg.insert(owners).values(id=job.owner_id, vtime=0).on_conflict_do_nothing())
    return inserted is not None


def get_job(tx: Connection, job_id: JobId, *, lock: bool = False) -> Job | None:
    query = sa.select(jobs).where(jobs.c.id == job_id)
    row = tx.execute(query.with_for_update() if lock else query).first()
    return _job(row) if row else None


def lock_unless_taken(tx: Connection, job_id: JobId) -> Job | None:
    """The job, locked; None if another transaction has it."""
    row = tx.execute(sa.select(jobs).where(jobs.c.id == job_id).with_for_update(skip_locked=True)).first()
    return _job(row) if row else None


def get_jobs(tx: Connection, job_ids: Collection[JobId]) -> list[Job]:
    return [_job(row) for row in tx.execute(sa.select(jobs).where(jobs.c.id.in_(job_ids)))]


def save_job(tx: Connection, job: Job) -> None:
    """Write a job that this transaction has locked."""
    tx.execute(sa.update(jobs).where(jobs.c.id == job.id).values(**_columns(job)))


def waiting_heads(tx: Connection, models: Collection[str]) -> list[Head]:
    """The oldest waiting job of each owner for each of the models."""
    query = (
        sa.select(jobs.c.id, owners.c.vtime, jobs.c.queue_number)
        .join(owners, owners.c.id == jobs.c.owner_id)
        .where(waiting, jobs.c.model.in_(models))
        .ext(pg.distinct_on(jobs.c.model, jobs.c.owner_id))
        .order_by(jobs.c.model, jobs.c.owner_id, jobs.c.queue_number)
    )
    return [Head(JobId(row.id), row.vtime, row.queue_number) for row in tx.execute(query)]


def adoptable(tx: Connection, engine_id: EngineId, now: datetime) -> list[JobId]:
    """Jobs whose lease expired on this very engine."""
    query = sa.select(jobs.c.id).where(jobs.c.engine_id == engine_id, jobs.c.lease_expires_at <= now)
    return [JobId(row.id) for row in tx.execute(query)]


def expired(tx: Connection, before: datetime) -> list[JobId]:
    """Jobs whose lease ended before that moment."""
    query = sa.select(jobs.c.id).where(jobs.c.lease_expires_at <= before).limit(100)
    return [JobId(row.id) for row in tx.execute(query)]


def queue_positions(tx: Connection, models: Collection[str]) -> dict[JobId, int]:
    """Place of each waiting job if nothing more arrived: by the virtual time at which fair share would start it.

    Those that a worker already holds come first.
    """
    share = jobs.c.cost / owners.c.weight
    before_own = sa.func.sum(share).over(partition_by=jobs.c.owner_id, order_by=jobs.c.queue_number) - share
    clock = sa.select(fair_share_clock.c.v).scalar_subquery()
    start = sa.func.greatest(owners.c.vtime, clock) + before_own
    query = (
        sa.select(jobs.c.id)
        .join(owners, owners.c.id == jobs.c.owner_id)
        .where(jobs.c.state == State.PENDING, jobs.c.model.in_(models))
        .order_by(jobs.c.engine_id.is_(None), start, jobs.c.queue_number)
    )
    return {JobId(row.id): place for place, row in enumerate(tx.execute(query), 1)}


def to_discard(tx: Connection) -> list[Job]:
    return [_job(row) for row in tx.execute(sa.select(jobs).where(jobs.c.discard_pending).limit(100))]


def discarded(tx: Connection, job_id: JobId) -> None:
    tx.execute(sa.update(jobs).where(jobs.c.id == job_id).values(discard_pending=False))


def lock_account(tx: Connection, owner_id: OwnerId) -> Account:
    row = tx.execute(sa.select(owners).where(owners.c.id == owner_id).with_for_update()).one()
    return Account(OwnerId(row.id), row.vtime, row.weight)


def save_account(tx: Connection, account: Account) -> None:
    tx.execute(sa.update(owners).where(owners.c.id == account.owner_id).values(vtime=account.vtime))


def get_clock(tx: Connection) -> float:
    return float(tx.execute(sa.select(fair_share_clock.c.v)).scalar_one())


def advance_clock(tx: Connection, v: float) -> None:
    """Raise V; it never falls, whoever commits last."""
    tx.execute(sa.update(fair_share_clock).where(fair_share_clock.c.v < v).values(v=v))


def save_worker(tx: Connection, worker: Worker) -> None:
    values: dict[str, Any] = {
        "models": sorted(worker.models),
        "engine_version": worker.engine_version,
        "device": worker.device,
        "vram_total": worker.vram_total,
        "healthy": worker.healthy,
        "seen_at": worker.seen_at,
    }
    statement = pg.insert(workers).values(engine_id=worker.engine_id, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=[workers.c.engine_id], set_=values))


def touch_worker(tx: Connection, engine_id: EngineId, now: datetime, *, healthy: bool) -> None:
    """It is alive; what its engine has is as last reported."""
    tx.execute(sa.update(workers).where(workers.c.engine_id == engine_id).values(seen_at=now, healthy=healthy))


def list_workers(tx: Connection) -> list[Worker]:
    return [
        Worker(
            engine_id=EngineId(row.engine_id),
            models=frozenset(row.models),
            engine_version=row.engine_version,
            device=row.device,
            vram_total=row.vram_total,
            healthy=row.healthy,
            seen_at=row.seen_at,
        )
        for row in tx.execute(sa.select(workers))
    ]


def models_of_idle_workers(tx: Connection, seen_after: datetime, *, without: EngineId) -> set[str]:
    """What able workers that hold no job could begin at once; one engine left out."""
    busy = sa.select(jobs.c.engine_id).where(jobs.c.engine_id == workers.c.engine_id).exists()
    query = sa.select(workers.c.models).where(
        workers.c.healthy, workers.c.seen_at >= seen_after, workers.c.engine_id != without, ~busy
    )
    return {model for row in tx.execute(query) for model in row.models}


def _columns(job: Job) -> Mapping[str, Any]:
    lease, failure = job.lease, job.failure
    return {
        "owner_id": job.owner_id,
        "model": job.model,
        "prompt": job.spec.prompt,
        "negative_prompt": job.spec.negative_prompt,
        "width": job.spec.width,
        "height": job.spec.height,
        "steps": job.spec.steps,
        "cfg": job.spec.cfg,
        "seed": job.spec.seed,
        "count": job.spec.count,
        "state": job.state,
        "version": job.version,
        "lease_epoch": job.lease_epoch,
        "attempts": job.attempts,
        "engine_id": lease.engine_id if lease else None,
        "prompt_id": lease.prompt_id if lease else None,
        "lease_expires_at": lease.expires_at if lease else None,
        "cost": job.cost,
        "cancel_requested": job.cancel_requested,
        "discard_pending": job.discard_pending,
        "failure_reason": failure.reason if failure else None,
        "failure_message": failure.message if failure else None,
        "origin": job.origin,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


def _job(row: Row[Any]) -> Job:
    lease = row.lease_expires_at and Lease(EngineId(row.engine_id), PromptId(row.prompt_id), row.lease_expires_at)
    failure = row.failure_reason and Failure(FailureReason(row.failure_reason), row.failure_message)
    return Job(
        id=JobId(row.id),
        owner_id=OwnerId(row.owner_id),
        model=row.model,
        spec=Spec(
            prompt=row.prompt,
            negative_prompt=row.negative_prompt,
            width=row.width,
            height=row.height,
            steps=row.steps,
            cfg=row.cfg,
            seed=row.seed,
            count=row._mapping["count"],  # noqa: SLF001 - Row.count is a tuple's method
        ),
        created_at=row.created_at,
        origin=row.origin,
        state=State(row.state),
        version=row.version,
        lease_epoch=row.lease_epoch,
        attempts=row.attempts,
        lease=lease,
        cost=row.cost,
        cancel_requested=row.cancel_requested,
        discard_pending=row.discard_pending,
        failure=failure,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
