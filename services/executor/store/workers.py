"""Workers as they last reported themselves."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.dialects import postgresql as pg

from services.executor.domain import EngineId, JobId
from services.executor.store.tables import clocks, estimates, jobs, workers
from services.executor.workers import WORKER_MEMORY, WORKER_PATIENCE, Worker


@dataclass(frozen=True)
class Orders:
    """An operator's last word to a worker: whether it is drained, and when it was last resumed."""

    drained: bool
    resumed_at: datetime | None


def save_worker(tx: Connection, worker: Worker) -> Orders:
    """Write a worker's report, which changes no order; returns the orders."""
    values: dict[str, Any] = {
        "models": sorted(worker.models),
        "missing": {model: list(files) for model, files in worker.missing.items()},
        "loaded_model": worker.loaded_model,
        "is_loading": worker.is_loading,
        "engine_version": worker.engine_version,
        "device": worker.device,
        "vram_total": worker.vram_total,
        "vram_free": worker.vram_free,
        "is_well": worker.is_well,
        "problem": worker.problem,
        "quarantined_until": worker.quarantined_until,
        "seen_at": worker.seen_at,
    }
    insert = pg.insert(workers).values(engine_id=worker.engine_id, drained=worker.drained, **values)
    upsert = insert.on_conflict_do_update(index_elements=[workers.c.engine_id], set_=values)
    row = tx.execute(upsert.returning(workers.c.drained, workers.c.resumed_at)).one()
    return Orders(row.drained, row.resumed_at)


def drain(tx: Connection, engine_id: EngineId) -> Worker | None:
    """Order a worker to take nothing more; None if there is no such worker."""
    return _order(tx, engine_id, {"drained": True})


def resume(tx: Connection, engine_id: EngineId, now: datetime) -> Worker | None:
    """Order a worker to take jobs again, its quarantine ended; None if there is no such worker."""
    return _order(tx, engine_id, {"drained": False, "resumed_at": now, "quarantined_until": None})


_DRAINED = (
    sa.select(workers.c.drained).where(workers.c.engine_id == sa.bindparam("engine_id")).with_for_update(read=True)
)


def is_drained(tx: Connection, engine_id: EngineId) -> bool:
    """An operator's order. Whoever gives it waits until this transaction ends, so no claim follows the answer."""
    return bool(tx.execute(_DRAINED, {"engine_id": engine_id}).scalar())


def forget_engines(tx: Connection, seen_before: datetime) -> None:
    """Delete what is kept of engines that nobody has heard of since."""
    gone = list(tx.execute(sa.delete(workers).where(workers.c.seen_at < seen_before).returning(workers.c.engine_id)))
    engine_ids = [row.engine_id for row in gone]
    if engine_ids:
        tx.execute(sa.delete(clocks).where(clocks.c.engine_id.in_(engine_ids)))
        tx.execute(sa.delete(estimates).where(estimates.c.engine_id.in_(engine_ids)))


def list_workers(tx: Connection, now: datetime) -> list[Worker]:
    """Those that are not forgotten, in order of engine id."""
    query = sa.select(workers).where(workers.c.seen_at > now - WORKER_MEMORY).order_by(workers.c.engine_id)
    return [_worker(row) for row in tx.execute(query)]


def held_jobs(tx: Connection) -> dict[EngineId, list[JobId]]:
    """What each engine has, the job that it paints first."""
    query = (
        sa.select(jobs.c.engine_id, jobs.c.id)
        .where(jobs.c.engine_id.is_not(None))
        .order_by(jobs.c.started_at.nulls_last(), jobs.c.queue_number)
    )
    held: dict[EngineId, list[JobId]] = {}
    for row in tx.execute(query):
        held.setdefault(EngineId(row.engine_id), []).append(JobId(row.id))
    return held


def idle_workers(tx: Connection, now: datetime, *, without: EngineId) -> list[Worker]:
    """Able workers that hold no job, one engine left out."""
    busy = sa.select(jobs.c.engine_id).where(jobs.c.engine_id == workers.c.engine_id).exists()
    query = sa.select(workers).where(
        workers.c.seen_at >= now - WORKER_PATIENCE, workers.c.engine_id != without, workers.c.is_well, ~busy
    )
    return [worker for row in tx.execute(query) if (worker := _worker(row)).is_able(now)]


def _order(tx: Connection, engine_id: EngineId, values: dict[str, Any]) -> Worker | None:
    row = tx.execute(
        sa.update(workers).where(workers.c.engine_id == engine_id).values(values).returning(workers)
    ).first()
    return _worker(row) if row else None


def _worker(row: Row[Any]) -> Worker:
    return Worker(
        engine_id=EngineId(row.engine_id),
        models=frozenset(row.models),
        seen_at=row.seen_at,
        missing={model: tuple(files) for model, files in row.missing.items()},
        loaded_model=row.loaded_model,
        is_loading=row.is_loading,
        engine_version=row.engine_version,
        device=row.device,
        vram_total=row.vram_total,
        vram_free=row.vram_free,
        is_well=row.is_well,
        problem=row.problem,
        quarantined_until=row.quarantined_until,
        drained=row.drained,
    )
