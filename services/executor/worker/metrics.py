"""What a worker tells Prometheus of itself. docs/metrics.md lists all metrics."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from services.executor.domain import Job, State
from services.executor.metrics import LEASES_EXPIRED

CLAIMS = Counter("imagegen_worker_claims_total", "Jobs claimed from the queue.", ["model"])
ADOPTIONS = Counter("imagegen_worker_adoptions_total", "Runs taken over from a worker that died.", ["model"])
LEASES_LOST = Counter(
    "imagegen_worker_leases_lost_total", "Attempts whose lease could not be kept: nothing of them counted.", ["model"]
)
ATTEMPTS = Counter("imagegen_worker_attempts_total", "Attempts by how they ended.", ["model", "outcome"])
PICTURES = Counter("imagegen_worker_pictures_total", "Pictures painted and stored.", ["model"])
LOADS = Counter("imagegen_worker_model_loads_total", "Runs that had to load their model.", ["model"])
ENGINE_UP = Gauge("imagegen_worker_engine_up", "1 while the engine is well, else 0.")

_SECONDS = (0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1800)
"""A distilled model on a fast card to the limit of a run."""

PICTURE_SECONDS = Histogram(
    "imagegen_worker_picture_seconds",
    "GPU-seconds of each picture: its run's, loads included, divided among the run's pictures.",
    ["model"],
    buckets=_SECONDS,
)
JOB_SECONDS = Histogram(
    "imagegen_worker_job_seconds",
    "From the acceptance of a job to its pictures, waiting included.",
    ["model"],
    buckets=(*_SECONDS, 3600, 7200),
)

OUTCOMES = ("completed", "failed", "canceled", "given_back")


def introduce(models: Iterable[str]) -> None:
    """Begin every counter at zero: a rate sees no counter come into being."""
    for model in models:
        for metric in (CLAIMS, ADOPTIONS, LEASES_LOST, LOADS, PICTURES, LEASES_EXPIRED, PICTURE_SECONDS, JOB_SECONDS):
            metric.labels(model)
        for outcome in OUTCOMES:
            ATTEMPTS.labels(model, outcome)


def attempt_ended(before: Job, after: Job) -> None:
    """Count an attempt by what it made of its job; one that failed is one, whether or not the job gets another."""
    if after.attempts > before.attempts:
        outcome = "failed"
    elif after.state is State.PENDING:
        outcome = "given_back"
    else:
        outcome = after.state.value
    ATTEMPTS.labels(after.model, outcome).inc()
    if after.state is State.COMPLETED and after.finished_at is not None:
        JOB_SECONDS.labels(after.model).observe((after.finished_at - after.created_at).total_seconds())


def pictures_painted(job: Job, seconds: float | None) -> None:
    """Count the pictures of a completed job; `seconds` of its run, None if that was not seen whole."""
    PICTURES.labels(job.model).inc(job.spec.count)
    if seconds is not None:
        for _ in range(job.spec.count):
            PICTURE_SECONDS.labels(job.model).observe(seconds / job.spec.count)


class BusyTime(Collector):
    """Seconds in which the engine painted, as a counter that grows while it does: its rate is the busy ratio.

    One engine paints one run at a time. The end of a run may be heard of after the beginning of the next, so they may
    overlap here; a second counts once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._runs = 0
        self._since = 0.0
        self._seconds = 0.0

    def begin(self) -> None:
        with self._lock:
            if self._runs == 0:
                self._since = self._clock()
            self._runs += 1

    def end(self) -> None:
        with self._lock:
            self._runs -= 1
            if self._runs == 0:
                self._seconds += self._clock() - self._since

    @property
    def seconds(self) -> float:
        with self._lock:
            return self._seconds + (self._clock() - self._since if self._runs else 0.0)

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(
            "imagegen_worker_busy_seconds", "Seconds in which the engine painted.", value=self.seconds
        )


BUSY = BusyTime()
REGISTRY.register(BUSY)
