"""What the executor would have learnt by now, and what it would tell who waits."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from services.executor.domain import JobId
from services.executor.scheduling.estimates import KEPT, Estimates, Hint, Key, finish_sample
from services.executor.scheduling.forecast import Forecast, Held, Seat, Unfinished, forecast
from tests.simulation.cluster import Cluster, Job, Run
from tests.simulation.fair_queue import FairQueue

REBUILT_EVERY = 5.0
FORECAST_EVERY = 1.0


class Learning:
    """Samples as runs end, and the estimates made of them every five seconds."""

    def __init__(self, hints: dict[str, Hint], now: Callable[[], float]) -> None:
        self._hints = hints
        self._now = now
        self._samples: dict[Key, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._built = 0.0
        self._estimates = Estimates(hints, {})

    def estimates(self) -> Estimates:
        if self._now() >= self._built + REBUILT_EVERY:
            self._built = self._now()
            self._estimates = Estimates(self._hints, self._samples)
        return self._estimates

    def learn(self, key: Key, ratio: float) -> None:
        self._samples[key].append(ratio)

    def ran(self, run: Run) -> None:
        job, engine_id, estimates = run.job, run.gpu.engine_id, self.estimates()
        sample = estimates.load_sample if run.load_seconds else estimates.run_sample
        if lesson := sample(job.model, engine_id, job.work, run.used):
            self.learn(*lesson)


@dataclass(frozen=True, slots=True)
class Told:
    """What a user was told within a second of the submit, and the seconds that it took from then."""

    forecast: Forecast
    seconds: float


@dataclass
class Oracle:
    """Forecasts once a second while somebody is new, tells each new job, and learns from how it ended."""

    cluster: Cluster
    queue: FairQueue
    learning: Learning
    told: list[Told] = field(default_factory=list)
    _new: set[JobId] = field(default_factory=set)
    _open: dict[JobId, tuple[float, Forecast]] = field(default_factory=dict)
    _last: float = float("-inf")

    def heard(self, job: Job) -> None:
        if not self._new:
            self.cluster.at(max(self.cluster.now, self._last + FORECAST_EVERY), self._look)
        self._new.add(job.id)

    def ended(self, run: Run) -> None:
        self._new.discard(run.job.id)
        if opened := self._open.pop(run.job.id, None):
            at, forecast_then = opened
            seconds = self.cluster.now - at
            self.told.append(Told(forecast_then, seconds))
            if forecast_then.position:
                self.learning.learn(*finish_sample(forecast_then.position, forecast_then.raw, seconds))

    def _look(self) -> None:
        now, self._last = self.cluster.now, self.cluster.now
        told = self.forecast()
        self._open |= {job_id: (now, told[job_id]) for job_id in self._new if job_id in told}
        self._new.clear()

    def forecast(self) -> dict[JobId, Forecast]:
        now = self.cluster.now
        present = [gpu for gpu in self.cluster.gpus if gpu.is_present]
        seats = [Seat(gpu.engine_id, gpu.models, gpu.loaded) for gpu in present]
        held = [Held(_seen(gpu.run.job), gpu.engine_id, now - gpu.run.began) for gpu in present if gpu.run]
        return forecast(seats, held, self.queue, self.learning.estimates())


def _seen(job: Job) -> Unfinished:
    return Unfinished(job.id, job.model, job.work)
