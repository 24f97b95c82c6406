"""A worker is what it last reported of itself; whether a model can be had, and why a job waits, follows from them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from services.executor.domain import EngineId


class WorkerNotFound(Exception):
    def __init__(self) -> None:
        super().__init__("no worker has this engine id")


class Availability(StrEnum):
    AVAILABLE = "available"
    COLD = "cold"
    UNAVAILABLE = "unavailable"


class WaitingReason(StrEnum):
    QUEUED = "queued"
    COLD = "cold"
    MODEL_LOADING = "model_loading"
    NO_CAPACITY = "no_capacity"
    USER_CAP = "user_cap"
    PAUSED = "paused"


WORKER_PATIENCE = timedelta(seconds=8)
"""A worker reports every two seconds; one that missed four reports is away."""

WORKER_MEMORY = timedelta(hours=1)
"""A worker that has been away for so long is forgotten: nothing more is accepted in the hope of its return."""


class Standing(StrEnum):
    """Whether a worker takes jobs, and why it does not."""

    ABLE = "able"
    DRAINED = "drained"
    QUARANTINED = "quarantined"
    UNWELL = "unwell"
    AWAY = "away"


@dataclass(frozen=True)
class Worker:
    """A worker as it last reported itself.

    `missing`: of each installed model that its engine cannot paint, the files that are not there, as `folder/file`.
    `loaded_model`: the model of its last run, "" if not known. `problem`: why it is unwell or in quarantine.
    `drained` is an operator's word, everything else the worker's own. Memory in bytes.
    """

    engine_id: EngineId
    models: frozenset[str]
    seen_at: datetime
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    loaded_model: str = ""
    is_loading: bool = False
    engine_version: str = ""
    device: str = ""
    vram_total: int = 0
    vram_free: int = 0
    is_well: bool = True
    problem: str = ""
    quarantined_until: datetime | None = None
    drained: bool = False

    def standing(self, now: datetime) -> Standing:
        if now - self.seen_at > WORKER_PATIENCE:
            return Standing.AWAY
        if self.drained:
            return Standing.DRAINED
        if not self.is_well:
            return Standing.UNWELL
        if self.quarantined_until is not None and now < self.quarantined_until:
            return Standing.QUARANTINED
        return Standing.ABLE

    def is_able(self, now: datetime) -> bool:
        """Whether it takes jobs now."""
        return self.standing(now) is Standing.ABLE


def availability(model: str, workers: Iterable[Worker], pools: Collection[str], now: datetime) -> Availability:
    """A job waits for a worker that cannot take it now, and for one that a pool can start (`pools`: its models)."""
    having = [worker for worker in workers if model in worker.models]
    if any(worker.is_able(now) for worker in having):
        return Availability.AVAILABLE
    return Availability.COLD if having or model in pools else Availability.UNAVAILABLE


def waiting_reason(model: str, workers: Iterable[Worker], pools: Collection[str], now: datetime) -> WaitingReason:
    """Why a job of the model is in the queue."""
    standings = {worker.standing(now) for worker in workers if model in worker.models}
    if Standing.ABLE in standings:
        return WaitingReason.QUEUED
    if standings - {Standing.AWAY} == {Standing.DRAINED}:
        return WaitingReason.PAUSED
    return WaitingReason.COLD if model in pools else WaitingReason.NO_CAPACITY
