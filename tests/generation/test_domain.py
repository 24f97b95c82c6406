from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.generation.domain import (
    TERMINAL,
    TRANSITIONS,
    Eta,
    FailureReason,
    Live,
    Progress,
    State,
    TaskFinished,
    WaitingReason,
)
from tests.generation.builders import NOW, a_request, a_snapshot, a_task

LATER = NOW + timedelta(minutes=1)

UNFINISHED = sorted(set(State) - TERMINAL)
FINISHED = sorted(TERMINAL)


@pytest.mark.parametrize("told", State)
@pytest.mark.parametrize("state", State)
def test_a_newer_snapshot_moves_a_task_exactly_as_the_table_says(state, told):
    task = a_task(state=state, version=3)

    applied = task.apply(a_snapshot(task, state=told, version=4), LATER)

    may_move = told in TRANSITIONS[state] or (told is state and state not in TERMINAL)
    assert applied.state == (told if may_move else state)
    assert applied.job_version == (4 if may_move else 3)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("told", State)
def test_a_snapshot_that_is_not_newer_changes_nothing(told, version):
    task = a_task(state=State.PROCESSING, version=3)

    assert task.apply(a_snapshot(task, state=told, version=version), LATER) == task


def test_a_task_ends_when_its_job_did():
    task = a_task(state=State.PROCESSING)

    ended = task.apply(replace(a_snapshot(task, state=State.COMPLETED, version=9), finished_at=NOW - timedelta(5)), NOW)

    assert ended.finished_at == NOW - timedelta(5)


def test_a_failed_job_fails_its_task_with_the_reason():
    task = a_task(state=State.PROCESSING)
    snapshot = a_snapshot(task, state=State.FAILED, version=9)

    assert task.apply(snapshot, NOW).failure == snapshot.failure


def test_a_job_that_waits_again_says_why_and_has_not_started():
    task = a_task(state=State.PROCESSING)
    snapshot = a_snapshot(task, version=2, live=Live(4, WaitingReason.NO_CAPACITY))

    waiting = task.apply(snapshot, LATER)

    assert (waiting.state, waiting.waiting_reason, waiting.started_at) == (
        State.PENDING,
        WaitingReason.NO_CAPACITY,
        None,
    )


def test_a_snapshot_of_the_same_version_tells_what_is_live_and_no_more():
    task = a_task(state=State.PROCESSING, version=3)
    live = Live(progress=Progress(5, 20))

    assert task.seen(a_snapshot(task, state=State.PROCESSING, version=3, live=live)) == replace(task, live=live)
    assert task.seen(a_snapshot(task, state=State.COMPLETED, version=2, live=live)) == task


@pytest.mark.parametrize("known", State)
@pytest.mark.parametrize("told", State)
def test_a_task_as_of_a_snapshot_is_as_that_snapshot_says_whatever_is_known_since(known, told):
    task = a_task(state=known, version=9)

    then = task.as_of(a_snapshot(task, state=told, version=3), LATER)

    assert (then.state, then.job_version, then.failure is not None) == (told, 3, told is State.FAILED)
    assert (then.finished_at is not None) == (told in TERMINAL)
    assert (then.id, then.spec, then.created_at) == (task.id, task.spec, task.created_at)


@pytest.mark.parametrize(
    ("remaining", "shift", "is_news"),
    [
        (600, 0, False),
        (600, 1.9, False),
        (600, 2, True),
        (600, -2, True),
        (10, 0.9, False),
        (10, 1, True),
        (0, 0.1, True),
    ],
)
def test_an_eta_is_news_when_it_shifts_by_two_seconds_or_a_tenth_of_what_remains(remaining, shift, is_news):
    end, far = NOW + timedelta(seconds=remaining), NOW + timedelta(hours=1)
    shifted = end + timedelta(seconds=shift)

    assert Live(eta=Eta(shifted, far)).is_news_after(Live(eta=Eta(end, far)), NOW) == is_news
    assert Live(eta=Eta(NOW, shifted)).is_news_after(Live(eta=Eta(NOW, end)), NOW) == is_news


@pytest.mark.parametrize(
    ("live", "is_news"),
    [
        (Live(3, WaitingReason.QUEUED), False),
        (Live(2, WaitingReason.QUEUED), True),
        (Live(3, WaitingReason.PAUSED), True),
        (Live(3, WaitingReason.QUEUED, progress=Progress(1, 2)), False),
        (Live(3, WaitingReason.QUEUED, eta=Eta(NOW, LATER)), True),
    ],
)
def test_another_place_another_reason_or_a_first_eta_is_news_and_progress_is_not(live, is_news):
    assert live.is_news_after(Live(3, WaitingReason.QUEUED), NOW) == is_news


def test_a_finished_task_shows_nothing_live():
    task = a_task(state=State.COMPLETED, version=3)

    assert task.seen(a_snapshot(task, state=State.COMPLETED, version=3, live=Live(position=1))) == task


def test_a_task_that_nobody_has_heard_of_is_canceled_at_once():
    canceled = a_task().request_cancel(LATER)

    assert (canceled.state, canceled.finished_at) == (State.CANCELED, LATER)


@pytest.mark.parametrize("task", [a_task(tried=True), a_task(version=1), a_task(state=State.PROCESSING)])
def test_once_a_submit_may_have_left_a_cancel_is_a_request(task):
    asked = task.request_cancel(LATER)

    assert asked == replace(task, cancel_requested_at=LATER)
    assert asked.request_cancel(LATER + timedelta(1)) == asked


def test_canceling_a_canceled_task_changes_nothing():
    canceled = a_task().request_cancel(NOW)

    assert canceled.request_cancel(LATER) == canceled


@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED])
def test_a_finished_task_cannot_be_canceled(state):
    with pytest.raises(TaskFinished):
        a_task(state=state).request_cancel(LATER)


def test_a_refused_task_fails_with_the_executors_words():
    refused = a_task(tried=True).refuse("no such model", LATER)

    assert (refused.state, refused.finished_at) == (State.FAILED, LATER)
    assert refused.failure is not None
    assert (refused.failure.reason, refused.failure.message) == (FailureReason.REFUSED, "no such model")


@pytest.mark.parametrize("state", UNFINISHED)
def test_a_task_whose_job_was_lost_can_be_submitted_again_and_hears_the_new_job_from_the_start(state):
    lost = a_task(state=state, version=7).lose_job()

    assert (lost.state, lost.submitted_at, lost.started_at) == (State.PENDING, None, None)
    assert lost.apply(a_snapshot(lost, state=State.COMPLETED, version=2), LATER).state is State.COMPLETED


@pytest.mark.parametrize("state", FINISHED)
def test_no_event_changes_a_finished_task(state):
    task = a_task(state=state, version=3)

    assert task.try_submit(LATER) == task
    assert task.refuse("too late", LATER) == task
    assert task.lose_job() == task


@pytest.mark.parametrize(
    "difference", [{"prompt": "a lighthouse "}, {"width": 512}, {"cfg": 1.0}, {"seed": 0}, {"negative_prompt": ""}]
)
def test_requests_that_differ_have_different_digests(difference):
    assert a_request(**difference).digest() != a_request().digest()


def test_the_same_request_has_the_same_digest():
    assert a_request(width=512, cfg=2.0).digest() == a_request(cfg=2.0, width=512).digest()


class TaskLife(RuleBasedStateMachine):
    """Any order of submits, snapshots, losses, refusals and cancels."""

    @initialize()
    def create(self) -> None:
        self.task = a_task()
        self.before = self.task
        self.highest_told = 0

    def become(self, task) -> None:
        self.before, self.task = self.task, task

    @rule()
    def try_submit(self) -> None:
        self.become(self.task.try_submit(NOW))

    @rule(state=st.sampled_from(State), version=st.integers(1, 20), position=st.integers(0, 3))
    def hear(self, state, version, position) -> None:
        told = a_snapshot(self.task, state=state, version=version, live=Live(position))
        if not self.task.is_finished:
            self.highest_told = max(self.highest_told, version)
        self.become(self.task.apply(told, NOW).seen(told))

    @rule()
    def refuse(self) -> None:
        self.become(self.task.refuse("no", NOW))

    @rule()
    def lose_job(self) -> None:
        if not self.task.is_finished:
            self.highest_told = 0
        self.become(self.task.lose_job())

    @rule()
    def cancel(self) -> None:
        try:
            self.become(self.task.request_cancel(NOW))
        except TaskFinished:
            assert self.task.state in (State.COMPLETED, State.FAILED)

    @invariant()
    def a_finished_task_never_changes(self) -> None:
        if self.before.is_finished:
            assert self.task == self.before

    @invariant()
    def states_move_as_the_table_says(self) -> None:
        assert self.task.state is self.before.state or self.task.state in TRANSITIONS[self.before.state]

    @invariant()
    def the_version_is_the_highest_told(self) -> None:
        assert self.task.job_version == self.highest_told

    @invariant()
    def the_end_has_a_time(self) -> None:
        assert (self.task.finished_at is not None) == (self.task.state in TERMINAL)

    @invariant()
    def failures_have_reasons_and_so_has_waiting(self) -> None:
        assert (self.task.failure is not None) == (self.task.state is State.FAILED)
        assert (self.task.waiting_reason is not None) == (self.task.state is State.PENDING)

    @invariant()
    def what_the_executor_has_told_of_is_submitted(self) -> None:
        assert (self.task.submitted_at is not None) == (self.task.job_version > 0)

    @invariant()
    def a_cancel_is_not_forgotten(self) -> None:
        assert self.before.cancel_requested_at is None or self.task.cancel_requested_at is not None


TestTaskLife = TaskLife.TestCase
TestTaskLife.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
