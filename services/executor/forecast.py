"""When jobs will end: the queue played forward on the workers that are able now."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.executor.domain import EngineId, JobId
from services.executor.estimates import Estimates

LEAST_REMAINING = 0.1
"""A run that takes longer than expected has at least this share of the expected time before it."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A job as the forecast sees it: `work` in pixels × steps × pictures."""

    job_id: JobId
    model: str
    work: float


@dataclass(frozen=True, slots=True)
class Held:
    """A job that a worker has. `elapsed`: seconds since its run began, None if it has not."""

    job: Unfinished
    engine_id: EngineId
    elapsed: float | None


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker that takes jobs: what it can paint, and what its engine has loaded."""

    engine_id: EngineId
    models: frozenset[str]
    loaded: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """Place in the queue (1 is next, 0 is held by a worker) and seconds to the end, as half and nine of ten jobs
    will keep to; `raw` is the middle before it was corrected by what earlier forecasts were off.
    """

    position: int
    raw: float
    p50: float
    p90: float


def forecast(
    seats: Sequence[Seat], held: Iterable[Held], waiting: Iterable[Unfinished], estimates: Estimates
) -> dict[JobId, Forecast]:
    """Every held job, and every waiting one that a seat can paint; `waiting` in the order of fair share.

    Held jobs of one engine come in the order in which it will paint them.
    """
    told: dict[JobId, Forecast] = {}
    free_at = {seat.engine_id: 0.0 for seat in seats}
    loaded = {seat.engine_id: seat.loaded for seat in seats}
    for item in held:
        job, engine_id = item.job, item.engine_id
        run = estimates.run(job.model, engine_id, job.work)
        before = free_at.get(engine_id, 0.0)
        load = estimates.load(job.model, engine_id) if loaded.get(engine_id) != job.model else None
        elapsed = item.elapsed or 0.0
        p50, p90 = run.p50 + (load.p50 if load else 0.0), run.p90 + (load.p90 if load else 0.0)
        remaining = max(p50 - elapsed, LEAST_REMAINING * p50)
        latest = max(p90 - elapsed, remaining)
        told[job.job_id] = Forecast(0, before + remaining, before + remaining, before + latest)
        if engine_id in free_at:
            free_at[engine_id] = before + remaining
            loaded[engine_id] = job.model
    table = _Table(seats, free_at, loaded)
    neighbourhood = _neighbourhoods(seats)
    places: dict[str, int] = defaultdict(int)
    for job in waiting:
        first = table.first_for(job.model, estimates)
        if first is None:
            continue
        raw = table.take(first, job, estimates)
        places[neighbourhood[job.model]] += 1
        position = places[neighbourhood[job.model]]
        off = estimates.finish(position)
        told[job.job_id] = Forecast(position, raw, raw * off.p50, raw * max(off.p50, off.p90))
    return told


class _Table:
    """Which seat is free first for a model. Heaps with stale entries: an entry counts while its time is the seat's."""

    def __init__(self, seats: Sequence[Seat], free_at: dict[EngineId, float], loaded: dict[EngineId, str]) -> None:
        self._models = {seat.engine_id: seat.models for seat in seats}
        self._free_at = free_at
        self._loaded = loaded
        self._able: dict[str, list[tuple[float, EngineId]]] = defaultdict(list)
        self._ready: dict[str, list[tuple[float, EngineId]]] = defaultdict(list)
        for seat in seats:
            self._enter(seat.engine_id)

    def first_for(self, model: str, estimates: Estimates) -> EngineId | None:
        """The seat that could begin to paint first, the load included."""
        able, ready = self._first(self._able[model]), self._first(self._ready[model], model)
        if able is None or ready is None:
            return able
        begins = self._free_at[able] + (estimates.load(model, able).p50 if self._loaded[able] != model else 0.0)
        return ready if self._free_at[ready] <= begins else able

    def take(self, engine_id: EngineId, job: Unfinished, estimates: Estimates) -> float:
        """Paint the job there; the seconds until it ends."""
        seconds = estimates.run(job.model, engine_id, job.work).p50
        if self._loaded[engine_id] != job.model:
            seconds += estimates.load(job.model, engine_id).p50
        self._free_at[engine_id] += seconds
        self._loaded[engine_id] = job.model
        self._enter(engine_id)
        return self._free_at[engine_id]

    def _enter(self, engine_id: EngineId) -> None:
        entry = (self._free_at[engine_id], engine_id)
        for model in self._models[engine_id]:
            heapq.heappush(self._able[model], entry)
        heapq.heappush(self._ready[self._loaded[engine_id]], entry)

    def _first(self, heap: list[tuple[float, EngineId]], model: str | None = None) -> EngineId | None:
        while heap:
            free_at, engine_id = heap[0]
            if free_at == self._free_at[engine_id] and (model is None or self._loaded[engine_id] == model):
                return engine_id
            heapq.heappop(heap)
        return None


def _neighbourhoods(seats: Sequence[Seat]) -> dict[str, str]:
    """For each model that a seat can paint the name of its neighbourhood: models that share a seat share one."""
    named: dict[str, str] = {}
    for seat in seats:
        joined = {named[model] for model in seat.models if model in named}
        name = min(joined | seat.models, default="")
        named |= dict.fromkeys(seat.models, name)
        named = {model: name if of in joined else of for model, of in named.items()}
    return named
