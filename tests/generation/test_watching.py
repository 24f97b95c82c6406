import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import grpc
import pytest
from imagegen.executor.v1 import job_pb2
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import task_pb2

from services.generation.telling import HINT_SECONDS
from services.generation.watch import LOOK_SECONDS
from tests.generation.conftest import WAIT, Watch, eventually, state_of
from tests.grpc_errors import fields, reason
from tests.identities import as_person


@pytest.fixture
def watched_closely(world) -> Iterator[Callable[..., Watch]]:
    """`world.watch` at a process that looks ten times as often as ours: for what no event tells."""
    with world.replica(LOOK_SECONDS / 10) as replica:
        replica.tasks.refresh_catalogue()
        yield partial(world.watch, at=replica)


def kinds(events) -> list[str]:
    return [event.WhichOneof("event") for event in events]


def test_a_watch_shows_everything_from_a_snapshot_to_the_end(world):
    task_id = world.submitted()
    watch = world.watch(task_id)
    snapshot = watch.next().snapshot
    world.stand_in.tell(task_id, "processing")
    world.stand_in.progress(task_id, 1, 2)
    world.stand_in.preview(task_id, b"half")
    world.stand_in.tell(task_id, "completed")

    status, progress, preview, end = watch.rest()

    assert (snapshot.id, state_of(snapshot), snapshot.position) == (task_id, "pending", 1)
    assert state_of(status.status) == "processing"
    assert (progress.progress.step, progress.progress.steps) == (1, 2)
    assert (preview.preview.media_type, preview.preview.image, preview.cursor) == ("image/png", b"half", "")
    assert state_of(end.status) == "completed"
    assert end.status.HasField("finish_time")
    assert all(event.cursor for event in (status, progress, end))


@pytest.mark.parametrize("state", ["processing", "completed"])
def test_whoever_reads_the_task_after_an_event_sees_the_same(world, state):
    task_id = world.submitted()
    watch = world.watch(task_id)
    watch.next()
    world.stand_in.tell(task_id, state)

    watch.until("status", state)
    world.stand_in.go()

    assert state_of(world.get(task_id)) == state


def test_a_finished_task_is_one_snapshot(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "completed")
    world.get(task_id)
    world.stand_in.go()

    [only] = world.watch(task_id).rest()

    assert state_of(only.snapshot) == "completed"


def test_whoever_has_seen_the_end_is_told_nothing_more(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "completed")
    [snapshot] = world.watch(task_id).rest()

    assert world.watch(task_id, snapshot.cursor).rest() == []


def test_whoever_missed_the_end_is_told_it(world):
    task_id = world.submitted()
    cursor = world.watch(task_id).next().cursor
    world.stand_in.tell(task_id, "completed")
    world.get(task_id)

    [end] = world.watch(task_id, cursor).rest()

    assert state_of(end.status) == "completed"
    assert world.watch(task_id, end.cursor).rest() == []


def test_a_watch_resumes_after_its_cursor(world):
    task_id = world.submitted()
    watch = world.watch(task_id)
    watch.next()
    world.stand_in.tell(task_id, "processing")
    for step in (1, 2, 3):
        world.stand_in.progress(task_id, step, 3)
    watch.until("status", "processing")
    seen = watch.next()

    resumed = world.watch(task_id, seen.cursor)
    later = [resumed.next(), resumed.next()]

    assert seen.progress.step == 1
    assert [event.progress.step for event in later] == [2, 3]


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


def test_a_watch_that_resumes_after_the_end_is_told_what_lies_between(world):
    task_id = world.submitted()
    cursor = world.watch(task_id).next().cursor
    world.stand_in.tell(task_id, "processing")
    for step in (1, 2):
        world.stand_in.progress(task_id, step, 2)
    world.stand_in.tell(task_id, "completed")
    eventually(lambda: state_of(world.get(task_id)) == "completed")

    processing, first, second, end = world.watch(task_id, cursor).rest()

    assert [state_of(event.status) for event in (processing, end)] == ["processing", "completed"]
    assert [event.progress.step for event in (first, second)] == [1, 2]
    assert len({event.cursor for event in (processing, first, second, end)} - {""}) == 4


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


def test_no_cursor_is_told_twice(world):
    task_id = world.submitted()
    watch = world.watch(task_id)
    watch.next()
    world.stand_in.tell(task_id, "processing")
    world.stand_in.progress(task_id, 1, 2)
    told = [watch.next(), watch.next()]
    world.stand_in.log_status(world.stand_in.tell(task_id, "pending", hint=False), found=True)
    found = watch.next()

    assert all(event.cursor for event in told)
    assert (state_of(found.status), found.cursor) == ("pending", "")


def test_a_cursor_that_can_no_longer_be_resumed_from_gets_a_reset_and_a_snapshot(world):
    task_id = world.submitted()
    cursor = world.watch(task_id).next().cursor
    world.stand_in.lose_log()

    watch = world.watch(task_id, cursor)

    assert kinds([watch.next(), watch.next()]) == ["reset", "snapshot"]


def test_a_cursor_that_was_never_ours_is_refused(world):
    with pytest.raises(grpc.RpcError) as caught:
        world.watch(world.submitted(), "nonsense").next()

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (reason(caught.value), fields(caught.value)) == ("INVALID_CURSOR", ["cursor"])


def test_a_task_that_the_executor_does_not_know_yet_is_shown_and_followed_once_it_does(world):
    task_id = world.create().id
    watch = world.watch(task_id)
    first = watch.next()
    world.first.submit_waiting()

    world.stand_in.tell(task_id, "completed")

    assert state_of(first.snapshot) == "pending"
    assert state_of(watch.rest()[-1].status) == "completed"


def test_a_task_is_shown_and_followed_while_the_executor_comes_up(world):
    task_id = world.submitted()
    world.stand_in.go()
    watch = world.watch(task_id)
    first = watch.next()

    world.stand_in.come()
    world.stand_in.tell(task_id, "completed")

    assert state_of(first.snapshot) == "pending"
    assert state_of(watch.rest()[-1].status) == "completed"


def test_a_watch_outlives_the_executor_and_repeats_nothing(world):
    task_id = world.submitted()
    watch = world.watch(task_id)
    watch.next()
    world.stand_in.tell(task_id, "processing")
    world.stand_in.progress(task_id, 1, 3)
    watch.until("progress")

    world.stand_in.go()
    world.stand_in.come()
    world.stand_in.progress(task_id, 2, 3)
    watch.until("progress")
    world.stand_in.go()
    world.stand_in.tell(task_id, "completed")
    world.stand_in.come()
    watch.rest()

    assert kinds(watch.seen) == ["snapshot", "status", "progress", "progress", "status"]
    assert [event.progress.step for event in watch.seen[2:4]] == [1, 2]
    assert state_of(watch.seen[-1].status) == "completed"


def test_a_watch_outlives_the_executors_log(world):
    task_id = world.submitted()
    watch = world.watch(task_id)
    watch.next()
    world.stand_in.tell(task_id, "processing")
    watch.until("status")

    world.stand_in.go()
    world.stand_in.lose_log()
    world.stand_in.come()
    world.stand_in.tell(task_id, "completed")

    [end] = watch.rest()
    assert state_of(end.status) == "completed"


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


def test_a_place_that_changes_with_every_event_is_told_at_most_once_a_second(world):
    task_id = world.submitted()
    world.stand_in.jobs[task_id].position = 100
    watch = world.watch(task_id)
    began, first = time.monotonic(), watch.next().snapshot
    for position in range(99, 0, -1):
        world.stand_in.jobs[task_id].position = position
        world.stand_in.log_status(world.stand_in.jobs[task_id], found=True)
    places = [first.position]
    while places[-1] > 1:
        places.append(watch.next().status.position)

    assert len(places) <= 2 + (time.monotonic() - began) / HINT_SECONDS


def test_a_place_and_an_eta_are_absent_while_the_executor_is_away(world):
    task_id = world.submitted()
    world.stand_in.expect(task_id, datetime.now(UTC), datetime.now(UTC))
    assert world.get(task_id).HasField("eta")
    world.stand_in.go()

    task = world.get(task_id)

    assert (state_of(task), task.position, task.HasField("eta")) == ("pending", 0, False)


def test_a_task_that_is_refused_while_watched_ends_so(world):
    task_id = world.create().id
    watch = world.watch(task_id)
    watch.next()
    world.stand_in.refusal = (grpc.StatusCode.FAILED_PRECONDITION, "no worker has its files")
    world.first.submit_waiting()

    [end] = watch.rest()

    assert end.status.failure.reason == task_pb2.FAILURE_REASON_REFUSED


def test_a_task_that_is_canceled_before_it_left_ends_while_watched(world):
    world.stand_in.go()
    task_id = world.create().id
    watch = world.watch(task_id)
    watch.next()
    world.cancel(task_id)

    [end] = watch.rest()

    assert state_of(end.status) == "canceled"


def test_a_cancel_that_is_asked_for_is_told(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "processing")
    watch = world.watch(task_id)
    watch.next()
    world.cancel(task_id)
    asked = watch.next()
    world.stand_in.tell(task_id, "canceled")

    assert (state_of(asked.status), asked.status.cancel_requested) == ("processing", True)
    assert [state_of(event.status) for event in watch.rest()] == ["canceled"]


def test_a_job_that_was_lost_and_submitted_again_is_followed_to_its_end(world):
    task_id = world.submitted()
    for state in ("processing", "pending", "processing"):
        world.stand_in.tell(task_id, state)
    watch = world.watch(task_id)
    watch.next()
    world.stand_in.go()
    world.stand_in.lose_database()
    world.executor_returns()
    world.first.reconciler.reconcile()
    watch.until("status", "pending")
    world.clock.advance(seconds=10)
    world.first.submit_waiting()
    world.stand_in.tell(task_id, "completed")

    assert state_of(watch.rest()[-1].status) == "completed"


def test_two_people_cannot_watch_each_other(world):
    task_id = world.create().id

    for asked, owner in ((task_id, uuid4()), (str(uuid4()), world.me)):
        with pytest.raises(grpc.RpcError) as caught:
            world.watch(asked, owner=owner).next()
        assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")


def test_a_watch_ends_with_its_token(world):
    task_id = world.submitted()
    request = pb.WatchTaskRequest(task_id=task_id)

    call = world.first.stub.WatchTask(request, metadata=as_person(world.me, expires_in=2), timeout=WAIT)

    with pytest.raises(grpc.RpcError) as caught:
        list(call)

    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")


def test_when_a_watcher_leaves_the_executor_is_left_too(world):
    task_id = world.submitted()
    watch = world.watch(task_id)
    watch.next()

    watch.call.cancel()

    assert world.stand_in.unwatched.get(timeout=WAIT) == task_id


def test_a_watch_outlives_the_database_being_away(world):
    task_id = world.submitted()
    watch = world.watch(task_id)
    watch.next()
    with world.database_away():
        world.stand_in.tell(task_id, "completed")
        with pytest.raises(grpc.RpcError) as caught:
            world.get(task_id)

    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert [state_of(event.status) for event in watch.rest()] == ["completed"]


def test_many_watchers_see_the_same_end(world):
    task_id = world.submitted()
    watches = [world.watch(task_id) for _ in range(5)]
    for watch in watches:
        watch.next()
    world.stand_in.tell(task_id, "processing")
    world.stand_in.tell(task_id, "completed")

    assert {state_of(watch.rest()[-1].status) for watch in watches} == {"completed"}


@pytest.mark.parametrize("scope", [None, "read"])
def test_a_watch_ends_when_its_session_or_key_is_revoked_and_no_other_does(world, scope):
    task_id, sid = world.submitted(), uuid4()
    revoked, other = world.watch(task_id, sid=sid, scope=scope), world.watch(task_id)
    for watch in (revoked, other):
        watch.next()

    world.first.authority.revoke(sid)

    with pytest.raises(grpc.RpcError) as caught:
        revoked.rest()
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")
    world.stand_in.tell(task_id, "completed")
    assert state_of(other.rest()[-1].status) == "completed"


def test_a_revoked_watch_lets_go_of_the_executor_and_does_not_come_back(world):
    task_id, sid = world.submitted(), uuid4()
    watch = world.watch(task_id, sid=sid)
    cursor = watch.next().cursor
    world.first.authority.revoke(sid)

    assert world.stand_in.unwatched.get(timeout=WAIT) == task_id
    with pytest.raises(grpc.RpcError) as caught:
        world.watch(task_id, cursor, sid=sid).rest()
    assert reason(caught.value) == "TOKEN_REVOKED"
