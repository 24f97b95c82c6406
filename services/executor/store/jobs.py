"""Jobs as rows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
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
)
from services.executor.store.tables import jobs
from services.executor.timeline import Phase, PhaseKind

EXPIRED_PAGE = 100
"""Leases taken back in one go; the rest follows at the next look, two seconds later."""


def insert_job(tx: Connection, job: Job) -> bool:
    """Write a new job. False if the id is there already."""
    insert = pg.insert(jobs).values(id=job.id, **_columns(job)).on_conflict_do_nothing().returning(jobs.c.id)
    return tx.execute(insert).first() is not None


_JOB = sa.select(jobs).where(jobs.c.id == sa.bindparam("job_id"))
_LOCKED_JOB = _JOB.with_for_update()
_UNTAKEN_JOB = _JOB.with_for_update(skip_locked=True)


def get_job(tx: Connection, job_id: JobId, *, lock: bool = False) -> Job | None:
    row = tx.execute(_LOCKED_JOB if lock else _JOB, {"job_id": job_id}).first()
    return _job(row) if row else None


def lock_unless_taken(tx: Connection, job_id: JobId) -> Job | None:
    """The job, locked; None if another transaction has it."""
    row = tx.execute(_UNTAKEN_JOB, {"job_id": job_id}).first()
    return _job(row) if row else None


def get_jobs(tx: Connection, job_ids: Collection[JobId]) -> list[Job]:
    return [_job(row) for row in tx.execute(sa.select(jobs).where(jobs.c.id.in_(job_ids)))]


def save_job(tx: Connection, before: Job, after: Job) -> None:
    """Write what an event changed of a job that this transaction has locked."""
    was = _columns(before)
    changed = {name: value for name, value in _columns(after).items() if value != was[name]}
    if changed:
        tx.execute(sa.update(jobs).where(jobs.c.id == after.id).values(changed))


def renew_lease(tx: Connection, job_id: JobId, epoch: int, expires_at: datetime) -> bool | None:
    """Prolong a lease that is still held; whether a cancel was asked for, or None if the lease is lost."""
    update = (
        sa.update(jobs)
        .where(jobs.c.id == job_id, jobs.c.lease_epoch == epoch, jobs.c.engine_id.is_not(None))
        .values(lease_expires_at=expires_at)
        .returning(jobs.c.cancel_requested)
    )
    row = tx.execute(update).first()
    return None if row is None else bool(row.cancel_requested)


def adoptable(tx: Connection, engine_id: EngineId, now: datetime) -> list[JobId]:
    """Jobs whose lease on this engine has expired, oldest first."""
    query = (
        sa.select(jobs.c.id)
        .where(jobs.c.engine_id == engine_id, jobs.c.lease_expires_at <= now)
        .order_by(jobs.c.lease_expires_at)
    )
    return [JobId(row.id) for row in tx.execute(query)]


def expired(tx: Connection, before: datetime) -> list[JobId]:
    """Jobs whose lease ended before that moment."""
    query = sa.select(jobs.c.id).where(jobs.c.lease_expires_at <= before).limit(EXPIRED_PAGE)
    return [JobId(row.id) for row in tx.execute(query)]


def to_discard(tx: Connection) -> list[Job]:
    return [_job(row) for row in tx.execute(sa.select(jobs).where(jobs.c.discard_pending).limit(100))]


def mark_discarded(tx: Connection, job_id: JobId) -> None:
    tx.execute(sa.update(jobs).where(jobs.c.id == job_id).values(discard_pending=False))


@dataclass(frozen=True)
class Promise:
    """What was forecast of a job when it was first seen in the queue: its place, and seconds from `at` to its end."""

    job_id: JobId
    position: int
    seconds: float
    at: datetime


def keep_promises(tx: Connection, promises: Collection[Promise]) -> None:
    """Note first forecasts. A job that somebody else has locked gets its own at the next look."""
    if not promises:
        return
    made = {promise.job_id: promise for promise in promises}
    free = (
        sa.select(jobs.c.id)
        .where(jobs.c.id.in_(made), jobs.c.forecast_at.is_(None))
        .order_by(jobs.c.id)
        .with_for_update(skip_locked=True)
    )
    rows = [
        {
            "of": row.id,
            "position": made[JobId(row.id)].position,
            "seconds": made[JobId(row.id)].seconds,
            "at": made[JobId(row.id)].at,
        }
        for row in tx.execute(free)
    ]
    if rows:
        update = (
            sa.update(jobs)
            .where(jobs.c.id == sa.bindparam("of"))
            .values(
                forecast_position=sa.bindparam("position"),
                forecast_seconds=sa.bindparam("seconds"),
                forecast_at=sa.bindparam("at"),
            )
        )
        tx.execute(update, rows)


def get_promise(tx: Connection, job_id: JobId) -> Promise | None:
    query = sa.select(jobs.c.forecast_position, jobs.c.forecast_seconds, jobs.c.forecast_at).where(
        jobs.c.id == job_id, jobs.c.forecast_at.is_not(None)
    )
    row = tx.execute(query).first()
    return row and Promise(job_id, row.forecast_position, row.forecast_seconds, row.forecast_at)


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
        "adoptions": job.adoptions,
        "memory_failures": job.memory_failures,
        "engine_id": lease.engine_id if lease else None,
        "prompt_id": lease.prompt_id if lease else None,
        "lease_expires_at": lease.expires_at if lease else None,
        "cost": job.cost,
        "cancel_requested": job.cancel_requested,
        "discard_pending": job.discard_pending,
        "failure_reason": failure.reason if failure else None,
        "failure_message": failure.message if failure else None,
        "origin": job.origin,
        "traceparent": job.traceparent,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "timeline": [[phase.kind, (phase.started_at - job.created_at).total_seconds()] for phase in job.timeline],
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
        traceparent=row.traceparent,
        state=State(row.state),
        version=row.version,
        lease_epoch=row.lease_epoch,
        attempts=row.attempts,
        adoptions=row.adoptions,
        memory_failures=row.memory_failures,
        lease=lease,
        cost=row.cost,
        cancel_requested=row.cancel_requested,
        discard_pending=row.discard_pending,
        failure=failure,
        started_at=row.started_at,
        finished_at=row.finished_at,
        timeline=tuple(
            Phase(PhaseKind(kind), row.created_at + timedelta(seconds=seconds)) for kind, seconds in row.timeline
        ),
    )
