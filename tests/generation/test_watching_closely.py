"""What no event tells, and a watch finds by looking."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from imagegen.executor.v1 import job_pb2
from imagegen.generation.v1 import task_pb2

from services.generation.watch import LOOK_SECONDS
from tests.generation.conftest import WAIT, Watch, eventually, state_of


@pytest.fixture
def watched_closely(world) -> Iterator[Callable[..., Watch]]:
    """`world.watch` at a process that looks ten times as often as ours: for what no event tells."""
    with world.replica(LOOK_SECONDS / 10) as replica:
        replica.tasks.refresh_catalogue()
        yield partial(world.watch, at=replica)


def test_a_watch_that_resumes_on_a_quiet_task_is_told_nothing_until_something_happens(world, watched_closely):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "processing")
    first = watched_closely(task_id)
    cursor = first.next().cursor
    first.call.cancel()
    world.stand_in.unwatched.get(timeout=WAIT)
    world.stand_in.calls.clear()
    resumed = watched_closely(task_id, cursor)
    eventually(lambda: world.stand_in.calls.count("BatchGetJobs") >= 2)  # at the start, and when nothing came
    world.stand_in.tell(task_id, "completed")

    assert [state_of(event.status) for event in resumed.rest()] == ["completed"]


def test_a_watch_that_resumes_on_a_waiting_task_is_told_where_that_stands_now(world, watched_closely):
    task_id = world.submitted()
    world.stand_in.jobs[task_id].position = 5
    first = watched_closely(task_id).next()
    world.stand_in.jobs[task_id].position = 2

    moved = watched_closely(task_id, first.cursor).next()

    assert (first.snapshot.position, moved.status.position, moved.cursor) == (5, 2, "")


def test_what_a_look_has_told_is_told_again_with_its_cursor(world, watched_closely):
    task_id = world.submitted()
    watch = watched_closely(task_id)
    watch.next()
    job = world.stand_in.tell(task_id, "processing", hint=False)
    looked = watch.next()
    world.stand_in.log_status(job)
    logged = watch.next()

    assert [state_of(event.status) for event in (looked, logged)] == ["processing", "processing"]
    assert (bool(looked.cursor), bool(logged.cursor)) == (False, True)


def test_an_end_that_no_event_told_is_seen(world, watched_closely):
    task_id = world.submitted()
    watch = watched_closely(task_id)
    watch.next()
    world.stand_in.tell(task_id, "completed", hint=False)

    [end] = watch.rest()

    assert state_of(end.status) == "completed"


def test_a_place_in_the_queue_that_changes_is_told(world, watched_closely):
    task_id = world.submitted()
    world.stand_in.jobs[task_id].position = 5
    watch = watched_closely(task_id)
    first = watch.next()
    world.stand_in.jobs[task_id].position = 2

    moved = watch.next()

    assert (first.snapshot.position, moved.status.position) == (5, 2)


def test_why_a_task_waits_and_when_it_will_have_ended_is_told(world, watched_closely):
    task_id = world.submitted()
    soon, later = datetime.now(UTC) + timedelta(seconds=60), datetime.now(UTC) + timedelta(seconds=90)
    world.stand_in.expect(task_id, soon, later)
    world.stand_in.jobs[task_id].waiting_reason = job_pb2.WAITING_REASON_USER_CAP
    watch = watched_closely(task_id)
    first = watch.next().snapshot
    world.stand_in.jobs[task_id].waiting_reason = job_pb2.WAITING_REASON_NO_CAPACITY
    second = watch.next().status
    world.stand_in.expect(task_id, soon + timedelta(seconds=10), later)
    third = watch.next().status

    assert [task.waiting_reason for task in (first, second, third)] == [
        task_pb2.WAITING_REASON_USER_CAP,
        task_pb2.WAITING_REASON_NO_CAPACITY,
        task_pb2.WAITING_REASON_NO_CAPACITY,
    ]
    assert [task.eta.p50_time.ToDatetime(UTC) for task in (first, second, third)] == [
        soon,
        soon,
        soon + timedelta(seconds=10),
    ]
    assert {task.eta.p90_time.ToDatetime(UTC) for task in (first, second, third)} == {later}


def test_a_model_that_is_being_loaded_is_told_until_the_first_step(world, watched_closely):
    task_id = world.submitted()
    watch = watched_closely(task_id)
    watch.next()
    world.stand_in.tell(task_id, "processing", hint=False, waiting_reason=job_pb2.WAITING_REASON_MODEL_LOADING)
    loading = watch.next().status
    world.stand_in.jobs[task_id].waiting_reason = job_pb2.WAITING_REASON_UNSPECIFIED
    painting = watch.next().status

    assert [state_of(task) for task in (loading, painting)] == ["processing", "processing"]
    assert loading.waiting_reason == task_pb2.WAITING_REASON_MODEL_LOADING
    assert painting.waiting_reason == task_pb2.WAITING_REASON_UNSPECIFIED
