"""A job's life on the GPUs.

    pending ──start──► processing ──complete──► completed
       ▲  └──────────────── │ ─────complete──►      (the start was missed)
       └─give back, lost────┤──fail───────────► failed
                            └──cancel─────────► canceled

A worker holds a job by a lease. `lease_epoch` grows with every lease and fences: an event that comes with an
older epoch raises LeaseLost and changes nothing. `attempts` counts failures only. `version` grows with every
change that others can see. Time is an argument; every event returns a new job.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType
from uuid import UUID

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


class FailureReason(StrEnum):
    REFUSED = "refused"
    ENGINE_REFUSED = "engine_refused"
    ENGINE_FAILED = "engine_failed"
    OUT_OF_MEMORY = "out_of_memory"
    ENGINE_LOST = "engine_lost"
    RESULT_REFUSED = "result_refused"
    TIMED_OUT = "timed_out"


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


@dataclass(frozen=True)
class Failure:
    """Why a job failed; the message is one sentence for a person."""

    reason: FailureReason
    message: str


@dataclass(frozen=True)
class Lease:
    """A worker's hold on a job: the engine it runs on, the run's id there, and until when it counts."""

    engine_id: EngineId
    prompt_id: PromptId
    expires_at: datetime


@dataclass(frozen=True)
class Job:
    """The work of one task. `cost` is what each claim charges its owner, in GPU-seconds.

    `origin` is the id of the request that asked for it, for log lines.
    `discard_pending`: it ended without success and a worker may have stored pictures that must go.
    """

    id: JobId
    owner_id: OwnerId
    model: str
    spec: Spec
    created_at: datetime
    origin: str = ""
    state: State = State.PENDING
    version: int = 1
    lease_epoch: int = 0
    attempts: int = 0
    lease: Lease | None = None
    cost: float = 0.0
    cancel_requested: bool = False
    discard_pending: bool = False
    failure: Failure | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_finished(self) -> bool:
        return self.state in TERMINAL

    def claim(self, engine_id: EngineId, prompt_id: PromptId, now: datetime, length: timedelta) -> "Job":
        """A worker takes a waiting job. Raises NotClaimable."""
        if self.state is not State.PENDING or self.lease is not None:
            raise NotClaimable
        lease = Lease(engine_id, prompt_id, now + length)
        return replace(self, lease=lease, lease_epoch=self.lease_epoch + 1, version=self.version + 1)

    def adopt(self, engine_id: EngineId, now: datetime, length: timedelta) -> "Job":
        """The next worker of the same engine takes over an expired lease and keeps its run. Raises NotClaimable."""
        lease = self.lease
        if self.is_finished or lease is None or lease.engine_id != engine_id or lease.expires_at > now:
            raise NotClaimable
        lease = replace(lease, expires_at=now + length)
        return replace(self, lease=lease, lease_epoch=self.lease_epoch + 1, version=self.version + 1)

    def renew(self, epoch: int, now: datetime, length: timedelta) -> "Job":
        """The worker is alive. Nobody else sees a change, so the version stays. Raises LeaseLost."""
        return replace(self, lease=replace(self._held(epoch), expires_at=now + length))

    def start(self, epoch: int, now: datetime) -> "Job":
        """The engine began. Raises LeaseLost."""
        self._held(epoch)
        if self.state is State.PROCESSING:
            return self
        return replace(self, state=State.PROCESSING, started_at=now, version=self.version + 1)

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
        """The attempt failed. The job waits again until it has failed `tries` times. Raises LeaseLost."""
        self._held(epoch)
        return self._fail(failure, tries, now)

    def expire(self, now: datetime, grace: timedelta, tries: int) -> "Job":
        """Its worker is gone and nobody adopted the run in time. Raises NotClaimable if it is not so."""
        if self.is_finished or self.lease is None or self.lease.expires_at + grace > now:
            raise NotClaimable
        lost = Failure(FailureReason.ENGINE_LOST, "The GPU that was painting this picture was lost.")
        return self._fail(lost, tries, now)

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
        failed = replace(self, attempts=self.attempts + 1)
        if self.cancel_requested or failed.attempts < tries:
            return failed._wait_again(now)  # noqa: SLF001 - another job of the same class
        return replace(failed, failure=failure)._end(State.FAILED, now)  # noqa: SLF001 - the same

    def _wait_again(self, now: datetime) -> "Job":
        if self.cancel_requested:
            return self._end(State.CANCELED, now)
        return replace(self, state=State.PENDING, lease=None, started_at=None, version=self.version + 1)

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


class Availability(StrEnum):
    AVAILABLE = "available"
    COLD = "cold"
    UNAVAILABLE = "unavailable"


WORKER_PATIENCE = timedelta(seconds=8)
"""A worker reports every two seconds; one that missed four reports is away."""


class WaitingReason(StrEnum):
    QUEUED = "queued"
    NO_CAPACITY = "no_capacity"


@dataclass(frozen=True)
class Worker:
    """A worker as it last reported itself: its engine, which models that engine has the files of, and when."""

    engine_id: EngineId
    models: frozenset[str]
    engine_version: str
    device: str
    vram_total: int
    healthy: bool
    seen_at: datetime

    def is_able(self, now: datetime, patience: timedelta) -> bool:
        """Whether it could run a job now."""
        return self.healthy and now - self.seen_at <= patience


def availability(model: str, workers: list[Worker], now: datetime, patience: timedelta) -> Availability:
    """A known worker that is away has the model's files still: what waits for it will run."""
    having = [worker for worker in workers if model in worker.models]
    if any(worker.is_able(now, patience) for worker in having):
        return Availability.AVAILABLE
    return Availability.COLD if having else Availability.UNAVAILABLE
