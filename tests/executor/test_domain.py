"""The life of a job: every state with every event, then any sequence of events."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.executor.domain import (
    MOST_ADOPTIONS,
    TERMINAL,
    TRANSITIONS,
    EngineId,
    Failure,
    FailureReason,
    Job,
    LeaseLost,
    NotClaimable,
    PromptId,
    State,
)
from tests.executor.builders import ENGINE, FAILURE, GRACE, LEASE, NOW, a_job

LATER = NOW + LEASE
MUCH_LATER = LATER + GRACE
OTHER_ENGINE = EngineId(uuid4())

EVENTS: dict[str, Callable[[Job], Job]] = {
    "claim": lambda job: job.claim(ENGINE, PromptId(uuid4()), 1.0, NOW, LEASE),
    "adopt": lambda job: job.adopt(ENGINE, LATER, LEASE),
    "start": lambda job: job.start(1, NOW),
    "complete": lambda job: job.complete(1, NOW),
    "cancel": lambda job: job.cancel(1, NOW),
    "give back": lambda job: job.give_back(1, NOW),
    "fail, with tries left": lambda job: job.fail(1, FAILURE, 3, NOW),
    "fail, for the last time": lambda job: job.fail(1, FAILURE, 1, NOW),
    "expire": lambda job: job.expire(MUCH_LATER, GRACE, 3),
    "request cancel": lambda job: job.request_cancel(NOW),
}

P, R, C, F, X = State.PENDING, State.PROCESSING, State.COMPLETED, State.FAILED, State.CANCELED
WAITING, CLAIMED, PAINTING = a_job(P), a_job(P, leased=True), a_job(R)
LOST, NOT = LeaseLost, NotClaimable

# What each event makes of a job that waits, that a worker holds, that is painted, and that has ended.
TABLE = {
    "claim": (P, NOT, NOT, NOT),
    "adopt": (NOT, P, R, NOT),
    "start": (LOST, R, R, LOST),
    "complete": (LOST, C, C, LOST),
    "cancel": (LOST, X, X, LOST),
    "give back": (LOST, P, P, LOST),
    "fail, with tries left": (LOST, P, P, LOST),
    "fail, for the last time": (LOST, F, F, LOST),
    "expire": (NOT, P, P, NOT),
    "request cancel": (X, P, R, "as it was"),
}
CASES = [
    (job, event, expected)
    for event, (waiting, claimed, painting, ended) in TABLE.items()
    for job, expected in [
        (WAITING, waiting),
        (CLAIMED, claimed),
        (PAINTING, painting),
        *((a_job(state), ended) for state in sorted(TERMINAL)),
    ]
]


@pytest.mark.parametrize(
    ("job", "event", "expected"), CASES, ids=[f"{c[0].state}{'+lease' * bool(c[0].lease)}-{c[1]}" for c in CASES]
)
def test_every_event_in_every_state(job, event, expected):
    if expected in (LeaseLost, NotClaimable):
        with pytest.raises(expected):
            EVENTS[event](job)
    elif expected == "as it was":
        assert EVENTS[event](job) == job
    else:
        after = EVENTS[event](job)
        assert after.state == expected
        assert after.state == job.state or after.state in TRANSITIONS[job.state]


def test_a_worker_with_an_older_epoch_changes_nothing():
    adopted = PAINTING.adopt(ENGINE, LATER, LEASE)
    for event in ("start", "complete", "cancel", "give back", "fail, with tries left"):
        with pytest.raises(LeaseLost):
            EVENTS[event](adopted)


def test_adoption_keeps_the_run_and_counts_no_failure():
    adopted = PAINTING.adopt(ENGINE, LATER, LEASE)
    assert adopted.lease.prompt_id == PAINTING.lease.prompt_id
    assert (adopted.lease_epoch, adopted.attempts) == (2, 0)


def test_a_lease_that_still_holds_is_not_adopted():
    with pytest.raises(NotClaimable):
        PAINTING.adopt(ENGINE, LATER - timedelta(microseconds=1), LEASE)


def test_another_engine_cannot_adopt():
    with pytest.raises(NotClaimable):
        PAINTING.adopt(OTHER_ENGINE, MUCH_LATER, LEASE)


def test_a_lease_does_not_expire_within_its_grace():
    with pytest.raises(NotClaimable):
        PAINTING.expire(MUCH_LATER - timedelta(microseconds=1), GRACE, 3)


def test_an_expired_lease_counts_as_a_failure():
    assert PAINTING.expire(MUCH_LATER, GRACE, 3).attempts == 1
    assert PAINTING.expire(MUCH_LATER, GRACE, 1).state is State.FAILED


def test_a_run_that_outlives_its_workers_too_often_is_adopted_no_more():
    job, now = PAINTING, LATER
    for _ in range(MOST_ADOPTIONS):
        job = job.adopt(ENGINE, now, LEASE)
        now += LEASE
    with pytest.raises(NotClaimable):
        job.adopt(ENGINE, now, LEASE)
    painted_anew = job.expire(now + GRACE, GRACE, 3)
    assert painted_anew.attempts == 1
    assert painted_anew.claim(ENGINE, PromptId(uuid4()), 1.0, now, LEASE).adoptions == 0


def test_running_out_of_memory_gets_one_retry_whatever_else_has_failed():
    out_of_memory = Failure(FailureReason.OUT_OF_MEMORY, "The GPU ran out of memory.")
    lost = PAINTING.fail(1, FAILURE, 4, NOW).claim(ENGINE, PromptId(uuid4()), 1.0, NOW, LEASE)
    once = lost.fail(2, out_of_memory, 4, NOW)
    assert (once.state, once.attempts) == (State.PENDING, 2)
    twice = once.claim(ENGINE, PromptId(uuid4()), 1.0, NOW, LEASE).fail(3, out_of_memory, 4, NOW)
    assert (twice.state, twice.failure) == (State.FAILED, out_of_memory)


def test_giving_back_counts_no_failure():
    assert PAINTING.give_back(1, NOW).attempts == 0


@pytest.mark.parametrize(
    "event", ["complete", "give back", "fail, with tries left", "fail, for the last time", "expire"]
)
def test_a_requested_cancel_wins_over_every_other_end(event):
    assert EVENTS[event](PAINTING.request_cancel(NOW)).state is State.CANCELED


def test_what_ended_without_success_after_a_claim_must_be_discarded():
    assert PAINTING.cancel(1, NOW).discard_pending
    assert PAINTING.fail(1, FAILURE, 1, NOW).discard_pending
    assert not PAINTING.complete(1, NOW).discard_pending
    assert not WAITING.request_cancel(NOW).discard_pending


class JobLife(RuleBasedStateMachine):
    """Two engines, any events, time that passes."""

    def __init__(self) -> None:
        super().__init__()
        self.job = a_job()
        self.now = NOW
        self.seen = [self.job]

    def _try(self, event: Callable[[Job], Job]) -> None:
        before = self.job
        try:
            self.job = event(before)
        except (LeaseLost, NotClaimable):
            return
        assert self.job.state == before.state or self.job.state in TRANSITIONS[before.state]
        assert self.job.version > before.version or self.job.state == before.state
        self.seen.append(self.job)

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(engine=st.sampled_from([ENGINE, OTHER_ENGINE]))
    def claim(self, engine):
        self._try(lambda job: job.claim(engine, PromptId(uuid4()), 1.0, self.now, LEASE))

    @rule(engine=st.sampled_from([ENGINE, OTHER_ENGINE]))
    def adopt(self, engine):
        self._try(lambda job: job.adopt(engine, self.now, LEASE))

    @rule()
    def expire(self):
        self._try(lambda job: job.expire(self.now, GRACE, 3))

    @rule()
    def request_cancel(self):
        self._try(lambda job: job.request_cancel(self.now))

    @precondition(lambda self: self.job.lease_epoch > 0)
    @rule(
        back=st.integers(0, 1),
        event=st.sampled_from(["start", "complete", "cancel", "give_back"]),
    )
    def a_worker_writes(self, back, event):
        epoch = self.job.lease_epoch - back
        self._try(lambda job: getattr(job, event)(epoch, self.now))

    @precondition(lambda self: self.job.lease_epoch > 0)
    @rule(tries=st.integers(1, 4))
    def an_attempt_fails(self, tries):
        self._try(lambda job: job.fail(job.lease_epoch, FAILURE, tries, self.now))

    @invariant()
    def final_states_are_final(self):
        ended = [job for job in self.seen if job.is_finished]
        assert all(job.state == ended[0].state for job in ended)

    @invariant()
    def finished_at_exactly_in_final_states(self):
        assert (self.job.finished_at is not None) == self.job.is_finished

    @invariant()
    def processing_is_leased_and_the_end_is_not(self):
        assert self.job.state is not State.PROCESSING or self.job.lease
        assert not (self.job.is_finished and self.job.lease)

    @invariant()
    def epochs_and_versions_only_grow(self):
        assert [job.lease_epoch for job in self.seen] == sorted(job.lease_epoch for job in self.seen)
        assert [job.version for job in self.seen] == sorted(job.version for job in self.seen)

    @invariant()
    def failed_with_a_reason(self):
        assert (self.job.state is State.FAILED) == (self.job.failure is not None)


TestJobLife = JobLife.TestCase
TestJobLife.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
