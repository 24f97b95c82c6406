import time

import grpc
import pytest

from services.generation.telling import HINT_SECONDS
from tests.generation.conftest import eventually, kinds, state_of
from tests.grpc_errors import fields, reason


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


def test_many_watchers_see_the_same_end(world):
    task_id = world.submitted()
    watches = [world.watch(task_id) for _ in range(5)]
    for watch in watches:
        watch.next()
    world.stand_in.tell(task_id, "processing")
    world.stand_in.tell(task_id, "completed")

    assert {state_of(watch.rest()[-1].status) for watch in watches} == {"completed"}
