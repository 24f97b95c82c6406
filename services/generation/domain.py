"""A task's life, from what a person asked for to a picture or a reason.

                  ┌───────── lost, given back ─────────┐
                  ▼                                    │
    create ──► pending ────────────────────────► processing ──► completed | failed | canceled
                  └──────────── the hint in between was missed ────────────▲

Between the first try to submit it and its end, a task is what the executor last told about its job: a snapshot
counts iff its version is newer and the task has not ended, whatever states were skipped. Before that try nobody
else has heard of it, so a cancel ends it here and now; after it, a cancel is a request that the executor decides.
Time is an argument; every event returns a new task.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from typing import NewType
from uuid import UUID

SUBMIT_TRIES = 7
"""Submits that may be answered with an error of the executor's own. With pauses that double from 6 s they take more
than 6 minutes: long enough to roll a bad release back, short enough for a person to hear of it.
"""

CANCEL_TRIES = 7
"""Cancels that may be answered with an error of the executor's own. With pauses that double they take 3 minutes."""

TaskId = NewType("TaskId", UUID)
OwnerId = NewType("OwnerId", UUID)


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


class WaitingReason(StrEnum):
    QUEUED = "queued"
    COLD = "cold"
    MODEL_LOADING = "model_loading"
    NO_CAPACITY = "no_capacity"
    USER_CAP = "user_cap"
    PAUSED = "paused"


class FailureReason(StrEnum):
    REFUSED = "refused"
    ENGINE_REFUSED = "engine_refused"
    ENGINE_FAILED = "engine_failed"
    OUT_OF_MEMORY = "out_of_memory"
    ENGINE_LOST = "engine_lost"
    RESULT_REFUSED = "result_refused"
    TIMED_OUT = "timed_out"


class PhaseKind(StrEnum):
    QUEUED = "queued"
    STARTING = "starting"
    PAINTING = "painting"
    MODEL_LOAD = "model_load"
    STEPS = "steps"
    DECODE = "decode"
    STORE = "store"
    LOST = "lost"


class TaskNotFound(Exception):
    def __init__(self) -> None:
        super().__init__("there is no such task")


class TaskFinished(Exception):
    def __init__(self, state: State) -> None:
        super().__init__(f"the task has already {state}")


class RequestIdReused(Exception):
    def __init__(self) -> None:
        super().__init__("the request id was used before, for another request")
        self.violations = [("request_id", "was used before, for another request")]


class UserQueueFull(Exception):
    retry_after = 10.0
    """A picture takes seconds to a minute: by then one of a full queue has probably ended."""

    def __init__(self, cap: int) -> None:
        super().__init__(f"there are {cap} unfinished tasks already, as many as one person may have")


class TooManyStreams(Exception):
    def __init__(self, most: int) -> None:
        super().__init__(f"there are {most} such streams open already, as many as one person may have")


class StorageFull(Exception):
    def __init__(self, used_bytes: int, quota_bytes: int) -> None:
        super().__init__(f"the pictures take {used_bytes:,} of the {quota_bytes:,} bytes that one person may have")


@dataclass(frozen=True)
class Request:
    """What a person asked for; None is left to the model."""

    prompt: str
    model: str
    negative_prompt: str | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    cfg: float | None = None
    seed: int | None = None
    count: int | None = None

    def digest(self) -> bytes:
        """SHA-256 that two requests share iff they ask for the same; stays when later versions add fields."""
        asked = {name: value for name, value in asdict(self).items() if value is not None}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()


@dataclass(frozen=True)
class Spec:
    """What to paint: pixels, sampler steps, guidance, a seed of 0 to 2^53 - 1, pictures."""

    prompt: str
    negative_prompt: str
    width: int
    height: int
    steps: int
    cfg: float
    seed: int
    count: int


@dataclass(frozen=True)
class Filter:
    """Which of an owner's tasks are wanted: made from one moment on and before another; what is empty asks nothing."""

    states: frozenset[State] = frozenset()
    model: str = ""
    created_from: datetime | None = None
    created_before: datetime | None = None
    text: str = ""
    """The prompt has it, whatever the case."""


@dataclass(frozen=True)
class Failure:
    """Why a task failed; the message is one sentence for a person."""

    reason: FailureReason
    message: str


@dataclass(frozen=True)
class Phase:
    """What a task was at, until the next one began."""

    kind: PhaseKind
    started_at: datetime


@dataclass(frozen=True)
class Progress:
    """The sampler's steps of the current attempt."""

    step: int
    steps: int


@dataclass(frozen=True)
class Eta:
    """When half and when nine of ten such tasks have ended."""

    p50: datetime
    p90: datetime

    def has_shifted(self, later: "Eta", now: datetime) -> bool:
        """Whether a waiting person would want to know: by a tenth of what remained, or by 2 s."""
        return _has_shifted(self.p50, later.p50, now) or _has_shifted(self.p90, later.p90, now)


@dataclass(frozen=True)
class Estimate:
    """What a task would cost in seconds of a GPU, and when it would end if a worker can paint it now."""

    gpu_seconds: float
    eta: Eta | None


def _has_shifted(told: datetime, later: datetime, now: datetime) -> bool:
    shift = abs(later - told)
    return shift >= timedelta(seconds=2) or (shift > timedelta(0) and shift >= abs(told - now) / 10)


@dataclass(frozen=True)
class Live:
    """What changes too often to be kept.

    Place in the queue (1 is next, 0 none); why it waits, or that its worker loads the model; progress; its end.
    """

    position: int = 0
    waiting_reason: WaitingReason | None = None
    progress: Progress | None = None
    eta: Eta | None = None

    def is_news_after(self, told: "Live", now: datetime) -> bool:
        """Whether somebody who was told the one would want to be told this. Progress is told by itself."""
        if (self.position, self.waiting_reason) != (told.position, told.waiting_reason):
            return True
        if self.eta is None or told.eta is None:
            return self.eta is not told.eta
        return told.eta.has_shifted(self.eta, now)


@dataclass(frozen=True)
class Snapshot:
    """A job as the executor told of it at one moment. `live` may differ between snapshots of one version."""

    task_id: TaskId
    version: int
    state: State
    live: Live = Live()
    failure: Failure | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    timeline: tuple[Phase, ...] = ()


@dataclass(frozen=True)
class Task:
    """What a person asked for, and how it stands.

    `origin`: the id of the request that made it; `traceparent`: its place in a trace.
    `submit_tried_at`: a submit may have left, last at that time; `submit_failures`, and `cancel_failures`, were
    answered with an error of the executor's own.
    `submitted_at`: the executor is known to have the job since then. `job_version`: of the newest snapshot applied, 0
    before any. `timeline` is the executor's, of an ended job. `live` is known only just after the executor was asked.
    """

    id: TaskId
    owner_id: OwnerId
    model: str
    spec: Spec
    created_at: datetime
    origin: str = ""
    traceparent: str = ""
    state: State = State.PENDING
    waiting_reason: WaitingReason | None = WaitingReason.QUEUED
    failure: Failure | None = None
    job_version: int = 0
    submit_tried_at: datetime | None = None
    submit_failures: int = 0
    cancel_failures: int = 0
    submitted_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    timeline: tuple[Phase, ...] = ()
    live: Live | None = None

    @property
    def is_finished(self) -> bool:
        return self.state in TERMINAL

    @property
    def parts(self) -> list[tuple[Phase, timedelta]]:
        """What an ended task was at and for how long, from its making to its end without a gap.

        Nothing of a job whose executor told none. Clocks of several hosts may disagree: no part ends before it begins.
        """
        if self.finished_at is None or (self.job_version > 0 and not self.timeline):
            return []
        kinds = [phase.kind for phase in self.timeline] or [PhaseKind.QUEUED]
        told = [self.created_at, *(phase.started_at for phase in self.timeline[1:])]
        begins = list(accumulate((min(moment, self.finished_at) for moment in told), max))
        return [
            (Phase(kind, begin), end - begin)
            for kind, begin, end in zip(kinds, begins, [*begins[1:], self.finished_at], strict=True)
        ]

    def try_submit(self, now: datetime) -> "Task":
        """A submit is about to leave: from here on nobody can be sure that the executor has not heard of it."""
        return self if self.is_finished else replace(self, submit_tried_at=now)

    def fail_submit(self) -> "Task":
        """The executor is there and could not say yes or no."""
        return self if self.is_finished else replace(self, submit_failures=self.submit_failures + 1)

    @property
    def is_hopeless(self) -> bool:
        return self.submit_failures >= SUBMIT_TRIES

    def refuse(self, message: str, now: datetime) -> "Task":
        """The executor will never take the job."""
        if self.is_finished:
            return self
        return self._end(State.FAILED, now, Failure(FailureReason.REFUSED, message))

    def apply(self, snapshot: Snapshot, now: datetime) -> "Task":
        """The executor told how the job stands."""
        if self.is_finished or snapshot.version <= self.job_version:
            return self
        known = replace(
            self,
            job_version=snapshot.version,
            submitted_at=self.submitted_at or now,
            started_at=snapshot.started_at,
            timeline=snapshot.timeline,
            live=snapshot.live,
        )
        if snapshot.state in TERMINAL:
            return known._end(snapshot.state, snapshot.finished_at or now, snapshot.failure)  # noqa: SLF001 - a Task too
        waiting = (snapshot.live.waiting_reason or WaitingReason.QUEUED) if snapshot.state is State.PENDING else None
        return replace(known, state=snapshot.state, waiting_reason=waiting)

    def seen(self, snapshot: Snapshot) -> "Task":
        """The task with what the snapshot tells of this very moment, if both speak of the same version."""
        is_same = snapshot.version == self.job_version and not self.is_finished
        return replace(self, live=snapshot.live) if is_same else self

    def as_of(self, snapshot: Snapshot, now: datetime) -> "Task":
        """The task as it stood at a snapshot, however much is known since."""
        begun = replace(
            self,
            state=State.PENDING,
            waiting_reason=WaitingReason.QUEUED,
            failure=None,
            job_version=0,
            finished_at=None,
            timeline=(),
        )
        return begun.apply(snapshot, now)

    def lose_job(self) -> "Task":
        """The executor no longer knows the job, or has gone back to an older one: it is to be submitted again."""
        if self.is_finished:
            return self
        return replace(
            self,
            state=State.PENDING,
            waiting_reason=WaitingReason.QUEUED,
            job_version=0,
            submit_failures=0,
            submitted_at=None,
            started_at=None,
            live=None,
        )

    def request_cancel(self, now: datetime) -> "Task":
        """Its owner wants it to stop. Raises TaskFinished if it has completed or failed."""
        if self.state is State.CANCELED:
            return self
        if self.is_finished:
            raise TaskFinished(self.state)
        asked = replace(self, cancel_requested_at=self.cancel_requested_at or now)
        if self.submit_tried_at is None and self.submitted_at is None:
            return asked._end(State.CANCELED, now)  # noqa: SLF001 - a Task too
        return asked

    def fail_cancel(self, now: datetime) -> "Task":
        """The executor is there and could not cancel the job.

        After so many tries the task is canceled all the same: that is what its owner wants, and no job that has ended
        was heard of. One that the executor still has may be painted; it changes nothing here any more.
        """
        if self.is_finished:
            return self
        failed = replace(self, cancel_failures=self.cancel_failures + 1)
        return failed._end(State.CANCELED, now) if failed.cancel_failures >= CANCEL_TRIES else failed  # noqa: SLF001 - a Task too

    def _end(self, state: State, at: datetime, failure: Failure | None = None) -> "Task":
        return replace(self, state=state, waiting_reason=None, failure=failure, finished_at=at, live=None)
