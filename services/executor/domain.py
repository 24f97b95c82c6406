"""A job's life on the GPUs.

    pending ──start──► processing ──complete──► completed
       ▲  └──────────────── │ ─────complete──►      (the start was missed)
       └─give back, lost────┤──fail───────────► failed
                            └──cancel─────────► canceled

A worker holds a job by a lease. `lease_epoch` grows with every lease and fences: an event that comes with an
older epoch raises LeaseLost and changes nothing. `attempts` counts failures only. `version` grows with every
change that others can see. Time is an argument; every event returns a new job.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType
from uuid import UUID

from services.executor import timeline
from services.executor.timeline import Phase, PhaseKind, Timeline

JobId = NewType("JobId", UUID)
OwnerId = NewType("OwnerId", UUID)
EngineId = NewType("EngineId", UUID)
PromptId = NewType("PromptId", UUID)


class State(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.PROCESSING, State.COMPLETED, State.FAILED, State.CANCELED}),
    State.PROCESSING: frozenset({State.PENDING, State.COMPLETED, State.FAILED, State.CANCELED}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELED: frozenset(),
}
TERMINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)

MEMORY_TRIES = 2
"""ComfyUI unloads everything when memory runs out, so a second try often succeeds and a third does not."""

MOST_ADOPTIONS = 3
"""A run under which that many workers died is probably what kills them: it is painted anew, and counted."""


class FailureReason(StrEnum):
    REFUSED = "refused"
    ENGINE_REFUSED = "engine_refused"
    ENGINE_FAILED = "engine_failed"
    OUT_OF_MEMORY = "out_of_memory"
    ENGINE_LOST = "engine_lost"
    RESULT_REFUSED = "result_refused"
    TIMED_OUT = "timed_out"


SENTENCES = {
    FailureReason.REFUSED: "The model is not installed any more.",
    FailureReason.ENGINE_REFUSED: "The engine did not accept this request.",
    FailureReason.ENGINE_FAILED: "The engine failed while painting.",
    FailureReason.OUT_OF_MEMORY: "The GPU ran out of memory. A smaller or a single picture may fit.",
    FailureReason.ENGINE_LOST: "The GPU that was painting this picture was lost.",
    FailureReason.RESULT_REFUSED: "What the engine painted was not a sound picture.",
    FailureReason.TIMED_OUT: "Painting took longer than allowed.",
}
"""What a person is told of each."""


class ModelUnknown(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no model called {name!r}")
        self.violations = [("model", "is not the name of a model")]


class ModelUnavailable(Exception):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the model {name!r} is not available: {reason}")


class ParameterOutOfRange(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)


class JobNotFound(Exception):
    def __init__(self) -> None:
        super().__init__("there is no such job")


class OwnerErased(Exception):
    def __init__(self) -> None:
        super().__init__("the owner's account has been deleted")


class LeaseLost(Exception):
    """The worker no longer holds the job; it must write nothing more."""


class NotClaimable(Exception):
    """Somebody else was faster, or the job has ended."""


@dataclass(frozen=True)
class Spec:
    """What to paint: pixels, sampler steps, guidance, a seed of 0 to 2^53 - 1, pictures in one run."""

    prompt: str
    negative_prompt: str
    width: int
    height: int
    steps: int
    cfg: float
    seed: int
    count: int

    @property
    def work(self) -> float:
        """Pixels × steps × pictures: what a run's length is in proportion to."""
        return float(self.width * self.height * self.steps * self.count)


@dataclass(frozen=True)
class Failure:
    """Why a job failed; the message is one sentence for a person."""

    reason: FailureReason
    message: str


def failure_of(reason: FailureReason) -> Failure:
    return Failure(reason, SENTENCES[reason])


@dataclass(frozen=True)
class Lease:
    """A worker's hold on a job: the engine it runs on, the run's id there, and until when it counts."""

    engine_id: EngineId
    prompt_id: PromptId
    expires_at: datetime


@dataclass(frozen=True)
class Job:
    """The work of one task. `cost` is what its last claim charged its owner, before that a guess, in GPU-seconds.

    `origin` is the id of the request that asked for it, and `traceparent` its place in a trace.
    `timeline`: what it was at since it was first claimed; empty too if it was claimed by a worker that kept none.
    `adoptions`: workers that took over the present run; `memory_failures`: attempts that ran out of memory.
    `discard_pending`: it ended without success and a worker may have stored pictures that must go.
    """

    id: JobId
    owner_id: OwnerId
    model: str
    spec: Spec
    created_at: datetime
    origin: str = ""
    traceparent: str = ""
    state: State = State.PENDING
    version: int = 1
    lease_epoch: int = 0
    attempts: int = 0
    adoptions: int = 0
    memory_failures: int = 0
    lease: Lease | None = None
    cost: float = 0.0
    cancel_requested: bool = False
    discard_pending: bool = False
    failure: Failure | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    timeline: Timeline = ()

    @property
    def is_finished(self) -> bool:
        return self.state in TERMINAL

    @property
    def is_waiting(self) -> bool:
        """In the queue: no worker has it."""
        return self.state is State.PENDING and self.lease is None

    @property
    def phases(self) -> Timeline:
        """From its making to its end; nothing before that, nor of what a worker kept no timeline of."""
        is_known = self.lease_epoch == 0 or self.timeline
        return (Phase(PhaseKind.QUEUED, self.created_at), *self.timeline) if self.is_finished and is_known else ()

    def claim(self, engine_id: EngineId, prompt_id: PromptId, cost: float, now: datetime, length: timedelta) -> "Job":
        """A worker takes a waiting job. Raises NotClaimable."""
        if not self.is_waiting:
            raise NotClaimable
        lease = Lease(engine_id, prompt_id, now + length)
        return replace(
            self,
            lease=lease,
            lease_epoch=self.lease_epoch + 1,
            cost=cost,
            adoptions=0,
            version=self.version + 1,
            timeline=timeline.claimed(self.timeline, now),
        )

    def adopt(self, engine_id: EngineId, now: datetime, length: timedelta) -> "Job":
        """The next worker of the same engine takes over an expired lease and keeps its run. Raises NotClaimable."""
        lease = self.lease
        if self.is_finished or lease is None or lease.engine_id != engine_id or lease.expires_at > now:
            raise NotClaimable
        if self.adoptions >= MOST_ADOPTIONS:
            raise NotClaimable
        return replace(
            self,
            lease=replace(lease, expires_at=now + length),
            lease_epoch=self.lease_epoch + 1,
            adoptions=self.adoptions + 1,
            version=self.version + 1,
        )

    def start(self, epoch: int, now: datetime) -> "Job":
        """The engine began. Raises LeaseLost."""
        self._held(epoch)
        if self.state is State.PROCESSING:
            return self
        return replace(self, state=State.PROCESSING, started_at=now, version=self.version + 1)

    def note(self, epoch: int, phases: Sequence[Phase]) -> "Job":
        """What the worker has seen of its attempt so far; no news to anybody by itself. Raises LeaseLost."""
        self._held(epoch)
        return replace(self, timeline=timeline.seen(self.timeline, phases))

    def complete(self, epoch: int, now: datetime) -> "Job":
        """Every picture is stored. A cancel that came before this wins. Raises LeaseLost."""
        self._held(epoch)
        return self._end(State.CANCELED if self.cancel_requested else State.COMPLETED, now)

    def cancel(self, epoch: int, now: datetime) -> "Job":
        """The worker stopped the run as it was asked to. Raises LeaseLost."""
        self._held(epoch)
        return self._end(State.CANCELED, now)

    def give_back(self, epoch: int, now: datetime) -> "Job":
        """The worker cannot go on through no fault of the job. Raises LeaseLost."""
        self._held(epoch)
        return self._wait_again(now)

    def fail(self, epoch: int, failure: Failure, tries: int, now: datetime) -> "Job":
        """The attempt failed. The job waits again until it has failed `tries` times, or run out of memory too often.

        Raises LeaseLost.
        """
        self._held(epoch)
        return self._fail(failure, tries, now)

    def expire(self, now: datetime, grace: timedelta, tries: int) -> "Job":
        """Its worker is gone and nobody adopted the run in time. Raises NotClaimable if it is not so."""
        if self.is_finished or self.lease is None or self.lease.expires_at + grace > now:
            raise NotClaimable
        lost = replace(self, timeline=timeline.lost(self.timeline))
        return lost._fail(failure_of(FailureReason.ENGINE_LOST), tries, now)  # noqa: SLF001 - a Job too

    def strand(self, now: datetime) -> "Job":
        """It waits for a model that nobody knows any more. Raises NotClaimable if it does not wait."""
        if not self.is_waiting:
            raise NotClaimable
        return replace(self, failure=failure_of(FailureReason.REFUSED))._end(State.FAILED, now)  # noqa: SLF001 - a Job too

    def request_cancel(self, now: datetime) -> "Job":
        """Somebody wants it to stop: at once if no worker has it, else when the worker notices."""
        if self.is_finished or self.cancel_requested:
            return self
        if self.lease is None:
            return self._end(State.CANCELED, now)
        return replace(self, cancel_requested=True, version=self.version + 1)

    def _held(self, epoch: int) -> Lease:
        if self.lease is None or self.lease_epoch != epoch or self.is_finished:
            raise LeaseLost
        return self.lease

    def _fail(self, failure: Failure, tries: int, now: datetime) -> "Job":
        out_of_memory = self.memory_failures + (failure.reason is FailureReason.OUT_OF_MEMORY)
        failed = replace(self, attempts=self.attempts + 1, memory_failures=out_of_memory)
        has_tries = failed.attempts < tries and out_of_memory < MEMORY_TRIES
        if self.cancel_requested or has_tries:
            return failed._wait_again(now)  # noqa: SLF001 - another job of the same class
        return replace(failed, failure=failure)._end(State.FAILED, now)  # noqa: SLF001 - the same

    def _wait_again(self, now: datetime) -> "Job":
        if self.cancel_requested:
            return self._end(State.CANCELED, now)
        return replace(
            self,
            state=State.PENDING,
            lease=None,
            started_at=None,
            version=self.version + 1,
            timeline=timeline.waiting_again(self.timeline, now),
        )

    def _end(self, state: State, now: datetime) -> "Job":
        return replace(
            self,
            state=state,
            lease=None,
            finished_at=now,
            discard_pending=state is not State.COMPLETED and self.lease_epoch > 0,
            version=self.version + 1,
        )


def canceled_before_submit(job_id: JobId, owner_id: OwnerId, now: datetime) -> Job:
    """The tombstone that a cancel leaves when it overtakes its submit: nothing to paint, and it never will be."""
    nothing = Spec("", "", 1, 1, 1, 0.0, 0, 1)
    return Job(job_id, owner_id, "", nothing, now, state=State.CANCELED, finished_at=now)
