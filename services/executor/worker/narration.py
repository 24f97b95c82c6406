"""What one run tells while it goes on: to watchers, to the worker's report, and to the estimates."""

import time
from collections import defaultdict, deque
from collections.abc import Callable

from services.executor.domain import Job
from services.executor.engine.events import Loading, Preview, Progress, RunEvent, Started
from services.executor.events import Publisher
from services.executor.scheduling.estimates import Key
from services.executor.scheduling.learning import Learning
from services.executor.worker.metrics import BUSY, LOADS
from services.executor.worker.registration import Registration
from services.executor.worker.spans import NodeSpans
from services.executor.worker.timeline import AttemptTimeline

MOST_EVENTS = 5
"""Progress events, and previews, of a job in any one second: more than that nobody can see."""

EVENTS_SECONDS = 0.25
"""Between two of them, which leaves room for one more: a sampler's last step, that is told as it comes."""


class Narration:
    """Takes a run's events, in the thread that follows it.

    Attributes:
        is_whole: whether the run is followed from its beginning, so that its length teaches something.
        ends_at: when it will probably end, in monotonic seconds; None until it begins.
    """

    def __init__(
        self,
        job: Job,
        *,
        timeline: AttemptTimeline,
        registration: Registration,
        learning: Learning,
        publisher: Publisher,
        start: Callable[[], None],
    ) -> None:
        """`start` is called once, when the engine begins; what it raises ends the following."""
        assert job.lease is not None
        self._job = job
        self._engine_id = job.lease.engine_id
        self._timeline = timeline
        self._registration = registration
        self._learning = learning
        self._publisher = publisher
        self._start = start
        self._nodes = NodeSpans()
        self._told_at: dict[type[RunEvent], deque[float]] = defaultdict(lambda: deque(maxlen=MOST_EVENTS))
        self._began_at: float | None = None
        self._ended_at: float | None = None
        self._has_loaded = False
        self.is_whole = True
        self.ends_at: float | None = None

    def __call__(self, event: RunEvent) -> None:
        self._timeline(event)
        self._nodes(event)
        match event:
            case Started():
                self._begin()
            case Loading():
                if not self._has_loaded:
                    LOADS.labels(self._job.model).inc()
                self._has_loaded = True
                self._registration.loading(True)
            case Progress() | Preview():
                self._registration.loading(False)
                if self._is_due(event):
                    self._tell(event)

    @property
    def seconds(self) -> float | None:
        """How long the run took; None if it has not ended, or was not followed from its beginning."""
        if self._began_at is None or self._ended_at is None or not self.is_whole:
            return None
        return self._ended_at - self._began_at

    def lesson(self) -> tuple[Key, float] | None:
        """What the length of a run teaches that brought its pictures; nothing if it was not seen whole."""
        seconds = self.seconds
        if seconds is None:
            return None
        estimates = self._learning.estimates()
        learn = estimates.load_sample if self._has_loaded else estimates.run_sample
        return learn(self._job.model, self._engine_id, self._job.spec.work, seconds)

    def end(self) -> None:
        """The run is over, well or not. May be said again."""
        self._nodes.end()
        if self._began_at is not None and self._ended_at is None:
            self._ended_at = time.monotonic()
            BUSY.end()
            self._registration.loading(False)

    def _begin(self) -> None:
        job, engine_id = self._job, self._engine_id
        estimates = self._learning.estimates()
        seconds = estimates.run(job.model, engine_id, job.spec.work).p50
        if job.model != self._registration.loaded_model:
            seconds += estimates.load(job.model, engine_id).p50
        self._began_at = time.monotonic()
        BUSY.begin()
        self.ends_at = self._began_at + seconds
        self._registration.running(job.model)
        self._start()

    def _is_due(self, event: Progress | Preview) -> bool:
        now, told_at = time.monotonic(), self._told_at[type(event)]
        is_last = isinstance(event, Progress) and event.step == event.steps
        if told_at and now - told_at[-1] < EVENTS_SECONDS and not is_last:
            return False
        if len(told_at) == MOST_EVENTS and now - told_at[0] < 1:
            return False
        told_at.append(now)
        return True

    def _tell(self, event: Progress | Preview) -> None:
        match event:
            case Progress(step=step, steps=steps):
                self._publisher.progress(self._job.id, self._job.lease_epoch, step, steps)
            case Preview(mime=mime, data=data):
                self._publisher.preview(self._job.id, self._job.lease_epoch, mime, data)
