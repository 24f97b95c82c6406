"""What one attempt is at, as its run tells."""

from collections.abc import Callable
from datetime import datetime

from services.executor.domain import Job
from services.executor.engine.events import Decoding, Loading, Progress, RunEvent, Sampling, Started
from services.executor.timeline import MOST_PHASES, Phase, PhaseKind


class AttemptTimeline:
    """Takes a run's events, in the thread that follows it.

    A run that was taken over tells only that it goes on: all of it is then one phase, from its beginning under the
    worker before.

    Attributes:
        phases: in order, since the claim; each lasts until the next one begins.
    """

    def __init__(self, job: Job, clock: Callable[[], datetime]) -> None:
        self._began_at = job.started_at
        self._clock = clock
        self._sampling: tuple[str, datetime] | None = None
        self.phases: list[Phase] = []

    def __call__(self, event: RunEvent) -> None:
        match event:
            case Started():
                self._enter(PhaseKind.PAINTING, self._began_at)
            case Loading():
                self._enter(PhaseKind.MODEL_LOAD)
            case Sampling(node=node):
                self._sampling = node, self._clock()
            case Progress(node=node):
                # The first step is told when it is done; it began with its sampler.
                sampler, began_at = self._sampling or ("", None)
                self._enter(PhaseKind.STEPS, began_at if sampler == node else None)
            case Decoding():
                self._enter(PhaseKind.DECODE)

    def store(self) -> None:
        """The pictures are here, and go to results."""
        self._enter(PhaseKind.STORE)

    def _enter(self, kind: PhaseKind, at: datetime | None = None) -> None:
        is_new = not self.phases or self.phases[-1].kind is not kind
        if is_new and len(self.phases) < MOST_PHASES:
            self.phases.append(Phase(kind, at or self._clock()))
