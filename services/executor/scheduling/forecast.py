"""When jobs will end: the queue played forward on the workers that are able now.

Each worker that becomes free takes what fair share would give it, its handicap for a load included; without that a
forecast would see a load wherever two models alternate in the queue.
"""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.executor.domain import EngineId, JobId
from services.executor.scheduling.estimates import Estimates
from services.executor.scheduling.fairshare import handicap

LEAST_REMAINING = 0.1
"""A run that takes longer than expected has at least this share of the expected time before it."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A job as the forecast sees it: `work` in pixels × steps × pictures."""

    job_id: JobId
    model: str
    work: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that nobody has. `start`: the virtual time at which fair share would start it if nothing more arrived."""

    job: Unfinished
    start: float
    queue_number: int


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
    seats: Sequence[Seat], held: Iterable[Held], waiting: Iterable[Waiting], estimates: Estimates
) -> dict[JobId, Forecast]:
    """What `play` tells of every job."""
    return dict(play(seats, held, waiting, estimates))


def play(
    seats: Sequence[Seat], held: Iterable[Held], waiting: Iterable[Waiting], estimates: Estimates
) -> Iterator[tuple[JobId, Forecast]]:
    """Every held job, and then every waiting one that a seat can paint, as they begin; `waiting` in the order of its
    starts.

    Held jobs of one engine come in the order in which it will paint them.
    """
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
        yield job.job_id, Forecast(0, before + remaining, before + remaining, before + latest)
        if engine_id in free_at:
            free_at[engine_id] = before + remaining
            loaded[engine_id] = job.model
    lines: dict[str, deque[Waiting]] = defaultdict(deque)
    for one in waiting:
        lines[one.job.model].append(one)
    tables = [_Table(seat, loaded[seat.engine_id], estimates) for seat in seats]
    neighbourhood = _neighbourhoods(seats)
    places: dict[str, int] = defaultdict(int)
    turns = [(free_at[seat.engine_id], number) for number, seat in enumerate(seats)]
    heapq.heapify(turns)
    while turns:
        now, number = turns[0]
        table = tables[number]
        line = table.next_line(lines)
        if line is None:
            heapq.heappop(turns)
            continue
        job = line.popleft().job
        raw = now + table.seconds(job)
        heapq.heapreplace(turns, (raw, number))
        places[neighbourhood[job.model]] += 1
        position = places[neighbourhood[job.model]]
        off = estimates.finish(position)
        yield job.job_id, Forecast(position, raw, raw * off.p50, raw * max(off.p50, off.p90))


class _Table:
    """A seat in the play. Remembers what it asked the estimates: a long queue asks the same again and again."""

    def __init__(self, seat: Seat, loaded: str, estimates: Estimates) -> None:
        self._engine_id = seat.engine_id
        self._loaded = loaded
        self._estimates = estimates
        self._loads = {model: estimates.load(model, seat.engine_id).p50 for model in sorted(seat.models)}
        self._handicaps = {model: handicap(load) for model, load in self._loads.items()}
        self._runs: dict[tuple[str, float], float] = {}

    def next_line(self, lines: Mapping[str, deque[Waiting]]) -> deque[Waiting] | None:
        """The line whose first job the seat would claim."""
        first: tuple[float, int, deque[Waiting]] | None = None
        for model, lag in self._handicaps.items():
            if line := lines.get(model):
                head = line[0]
                rank = head.start + (lag if model != self._loaded else 0.0), head.queue_number, line
                if first is None or rank[:2] < first[:2]:
                    first = rank
        return first and first[2]

    def seconds(self, job: Unfinished) -> float:
        """Of painting the job, the load included; its model is loaded from now on."""
        kind = job.model, job.work
        if kind not in self._runs:
            self._runs[kind] = self._estimates.run(job.model, self._engine_id, job.work).p50
        load = self._loads[job.model] if job.model != self._loaded else 0.0
        self._loaded = job.model
        return self._runs[kind] + load


def _neighbourhoods(seats: Sequence[Seat]) -> dict[str, str]:
    """For each model that a seat can paint the name of its neighbourhood: models that share a seat share one."""
    named: dict[str, str] = {}
    for seat in seats:
        joined = {named[model] for model in seat.models if model in named}
        name = min(joined | seat.models, default="")
        named |= dict.fromkeys(seat.models, name)
        named = {model: name if of in joined else of for model, of in named.items()}
    return named
