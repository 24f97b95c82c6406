"""What a job was at: without a gap, bounded, and as far as an engine tells of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from services.executor import store
from services.executor.domain import Job, LeaseLost, PromptId, State
from services.executor.engine.events import Decoding, Loading, Preview, Progress, Sampling, Started
from services.executor.timeline import MOST_PHASES, Phase, PhaseKind
from services.executor.worker.timeline import AttemptTimeline
from tests.executor.builders import ENGINE, FAILURE, GRACE, LEASE, NOW, a_job


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def told(*events, started_at=None):
    """The phases of a run that tells something every second, and brings its pictures."""
    moments = iter(range(1, 1000))
    timeline = AttemptTimeline(a_job(started_at=started_at), lambda: after(next(moments)))
    for event in events:
        timeline(event)
    timeline.store()
    return kinds_of(timeline.phases)


def kinds_of(phases):
    return [(phase.kind.value, (phase.started_at - NOW).total_seconds()) for phase in phases]


def claimed(job: Job, seconds: float) -> Job:
    return job.claim(ENGINE, PromptId(uuid4()), 1.0, after(seconds), LEASE)


def test_a_cold_run_tells_of_each_phase():
    run = [Started(), Loading("4"), Sampling("3"), Progress(1, 2, "3"), Progress(2, 2, "3"), Decoding("8")]
    assert told(*run) == [("painting", 1), ("model_load", 2), ("steps", 3), ("decode", 4), ("store", 5)]


def test_a_warm_run_has_no_model_to_load():
    run = [Started(), Sampling("3"), Preview("image/png", b""), Progress(1, 1, "3"), Decoding("8")]
    assert told(*run) == [("painting", 1), ("steps", 2), ("decode", 3), ("store", 4)]


def test_what_only_chooses_a_sampler_begins_no_steps():
    run = [Started(), Sampling("select"), Loading("4"), Sampling("3"), Progress(1, 1, "3")]
    assert told(*run) == [("painting", 1), ("model_load", 3), ("steps", 4), ("store", 5)]


def test_steps_whose_beginning_was_missed_begin_when_they_are_heard_of():
    assert told(Started(), Progress(3, 4, "3")) == [("painting", 1), ("steps", 2), ("store", 3)]


def test_a_run_that_was_taken_over_is_painted_since_it_began_under_the_worker_before():
    assert told(Started(), started_at=after(-7)) == [("painting", -7), ("store", 1)]


def test_a_graph_of_many_nodes_has_no_more_phases_than_are_kept():
    assert len(told(*[Loading("4"), Decoding("8")] * MOST_PHASES)) == MOST_PHASES


def test_a_worker_tells_the_whole_of_its_attempt_each_time():
    job = claimed(a_job(), 1).note(1, [Phase(PhaseKind.PAINTING, after(2))])
    job = job.note(1, [Phase(PhaseKind.PAINTING, after(2)), Phase(PhaseKind.STORE, after(3))])
    assert kinds_of(job.timeline) == [("starting", 1), ("painting", 2), ("store", 3)]


def test_a_worker_with_an_older_epoch_notes_nothing():
    with pytest.raises(LeaseLost):
        claimed(a_job(), 1).note(0, [])


def test_an_attempt_that_failed_is_lost_and_the_job_is_in_the_queue_again():
    job = claimed(a_job(), 1).note(1, [Phase(PhaseKind.PAINTING, after(2))]).fail(1, FAILURE, 3, after(5))
    assert kinds_of(job.timeline) == [("lost", 1), ("queued", 5)]
    assert kinds_of(claimed(job, 6).timeline) == [("lost", 1), ("queued", 5), ("starting", 6)]


def test_an_attempt_whose_worker_is_gone_is_lost_also_if_it_was_the_last():
    job = claimed(a_job(), 1).expire(after(60), GRACE, 1)
    assert (job.state, kinds_of(job.timeline)) == (State.FAILED, [("lost", 1)])


def test_an_end_shows_how_far_the_last_attempt_came():
    job = claimed(a_job(), 1).note(1, [Phase(PhaseKind.PAINTING, after(2))]).cancel(1, after(5))
    assert kinds_of(job.timeline) == [("starting", 1), ("painting", 2)]


def test_attempts_without_number_keep_a_timeline_short():
    job = a_job()
    for attempt in range(200):
        job = claimed(job, 2 * attempt + 1).give_back(job.lease_epoch + 1, after(2 * attempt + 2))
        assert len(job.timeline) <= MOST_PHASES
    assert kinds_of(job.timeline)[0] == ("lost", 1)
    assert kinds_of(job.timeline)[-1] == ("queued", 400)


def test_of_an_attempt_that_an_older_worker_claimed_nothing_is_kept():
    job = a_job(State.PROCESSING).note(1, [Phase(PhaseKind.STORE, after(3))])
    assert job.timeline == ()


def test_a_timeline_is_kept_to_the_microsecond(database):
    job = replace(claimed(a_job(), 1.000001), created_at=after(0.1))
    job = job.note(1, [Phase(PhaseKind.STEPS, after(86400.123457))])
    with database.transaction() as tx:
        store.insert_job(tx, job)
        assert store.get_job(tx, job.id) == job
