"""GPUs in virtual time: jobs arrive, runs end, workers leave and come back, and nothing of it waits for a clock."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from services.executor.domain import EngineId, JobId, OwnerId
from services.executor.scheduling.estimates import Hint

LOST_AFTER = 30.0
"""Seconds until the job of a worker that is gone waits again: its lease, and the grace for adoption."""


@dataclass(frozen=True, slots=True)
class Job:
    """`run_luck`, `load_luck`: what this run takes of the usual seconds, whichever scheduler it is given to."""

    id: JobId
    owner_id: OwnerId
    model: str
    work: float
    number: int
    submitted: float
    run_luck: float
    load_luck: float


@dataclass(eq=False, slots=True)
class Gpu:
    """`pace`: how many times the hinted seconds its runs and loads take."""

    engine_id: EngineId
    models: frozenset[str]
    loaded: str
    pace: float = 1.0
    run: "Run | None" = None
    is_present: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """A job on a GPU; `load_seconds` is zero if the model was loaded."""

    job: Job
    gpu: Gpu
    cost: float
    began: float
    run_seconds: float
    load_seconds: float

    @property
    def ends(self) -> float:
        return self.began + self.used

    @property
    def used(self) -> float:
        """GPU-seconds."""
        return self.load_seconds + self.run_seconds

    @property
    def waited(self) -> float:
        return self.began - self.job.submitted


class Queue(Protocol):
    """Who is next. `claim` gives the job and what its owner was charged."""

    def submit(self, job: Job) -> None: ...
    def claim(self, gpu: Gpu) -> tuple[Job, float] | None: ...
    def settle(self, job: Job, cost: float, used: float) -> None: ...
    def give_back(self, job: Job) -> None: ...


@dataclass
class Cluster:
    """Some GPUs on one queue. `ended` hears of every run that came to its end; `runs` are in order of their begin."""

    queue: Queue
    gpus: list[Gpu]
    hints: dict[str, Hint]
    ended: Callable[[Run], None] = lambda _: None
    now: float = 0.0
    runs: list[Run] = field(default_factory=list)
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _scheduled: int = 0
    _idle: dict[Gpu, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._idle |= dict.fromkeys(self.gpus)

    def at(self, moment: float, happening: Callable[[], None]) -> None:
        self._scheduled += 1
        heapq.heappush(self._events, (moment, self._scheduled, happening))

    def expect(self, jobs: Iterable[Job], heard: Callable[[Job], None] = lambda _: None) -> None:
        """The jobs will be submitted, each at its moment; `heard` is told of each."""

        def submit(job: Job) -> None:
            self.queue.submit(job)
            heard(job)
            self._wake(job.model)

        for job in jobs:
            self.at(job.submitted, lambda job=job: submit(job))

    def absent(self, gpu: Gpu, since: float, until: float) -> None:
        """The worker will be gone for that time, and its job with it."""

        def leave() -> None:
            gpu.is_present = False
            self._idle.pop(gpu, None)
            if run := gpu.run:
                gpu.run = None
                self.at(self.now + LOST_AFTER, lambda: self._lost(run))

        def come_back() -> None:
            gpu.is_present, gpu.loaded = True, ""
            self._look(gpu)

        self.at(since, leave)
        self.at(until, come_back)

    def play(self, until: float = float("inf")) -> None:
        """Up to that moment, or until nothing more happens."""
        while self._events and self._events[0][0] <= until:
            self.now, _, happening = heapq.heappop(self._events)
            happening()

    def _wake(self, model: str) -> None:
        able = [gpu for gpu in self._idle if model in gpu.models]
        if able:
            self._look(min(able, key=lambda gpu: gpu.loaded != model))

    def _look(self, gpu: Gpu) -> None:
        claim = self.queue.claim(gpu)
        if claim is None:
            self._idle[gpu] = None
            return
        self._idle.pop(gpu, None)
        job, cost = claim
        hint = self.hints[job.model]
        load_seconds = hint.load_seconds * gpu.pace * job.load_luck if gpu.loaded != job.model else 0.0
        run = Run(job, gpu, cost, self.now, hint.run_seconds * job.work * gpu.pace * job.run_luck, load_seconds)
        gpu.run = run
        self.runs.append(run)
        self.at(run.ends, lambda: self._end(run))

    def _end(self, run: Run) -> None:
        if run.gpu.run is not run:
            return
        run.gpu.run, run.gpu.loaded = None, run.job.model
        self.queue.settle(run.job, run.cost, run.used)
        self.ended(run)
        self._look(run.gpu)

    def _lost(self, run: Run) -> None:
        self.runs.remove(run)
        self.queue.settle(run.job, run.cost, run.cost)
        self.queue.give_back(run.job)
        self._wake(run.job.model)
