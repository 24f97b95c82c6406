"""One stream of all of a person's tasks."""

from uuid import uuid4

import grpc
import pytest
from imagegen.executor.v1 import job_pb2
from imagegen.generation.v1 import task_pb2

from services.generation.feeds import STREAMS
from services.generation.watch import LOOK_SECONDS
from services.generation.watch_all import ENDED_TOLD
from tests.generation.conftest import WAIT, eventually, shown, state_of
from tests.grpc_errors import fields, reason


def test_whoever_has_nothing_under_way_is_told_so_with_a_cursor(world):
    [caught_up] = world.watch_all().until("caught_up")

    assert caught_up.cursor
    assert caught_up.task_id == ""


def test_everything_unfinished_comes_first_and_then_what_happens_to_any(world):
    first, second = world.submitted(), world.submitted()
    over = world.submitted()
    world.stand_in.tell(over, "completed")
    world.get(over)
    watch = world.watch_all()
    opening = watch.until("caught_up")
    world.stand_in.tell(second, "processing")
    watch.until("status", "processing")
    world.stand_in.progress(second, 1, 2)
    [progress] = watch.until("progress")
    world.stand_in.preview(second, b"half")
    [preview] = watch.until("preview")
    world.stand_in.tell(second, "completed")
    world.stand_in.tell(first, "canceled")
    watch.until("status", "canceled", first)

    assert shown(opening) == [(first, "snapshot", "pending"), (second, "snapshot", "pending")]
    assert (progress.task_id, progress.progress.step, progress.progress.steps) == (second, 1, 2)
    assert (preview.task_id, preview.preview.image, preview.cursor) == (second, b"half", "")


def test_other_peoples_tasks_are_never_told(world):
    stranger = uuid4()
    theirs = world.submitted(owner=stranger)
    watch, their_watch = world.watch_all(), world.watch_all(owner=stranger)
    opening = watch.until("caught_up")
    their_watch.until("caught_up")
    world.stand_in.tell(theirs, "completed")
    their_watch.until("status", "completed")
    mine = world.submitted()
    seen = watch.until("status")

    assert shown(opening) == []
    assert {event.task_id for event in seen} == {mine}


def test_a_task_that_another_replica_makes_is_told_and_followed(world):
    with world.replica() as other:
        watch = world.watch_all(at=other)
        watch.until("caught_up")
        task_id = world.submitted()
        [made] = watch.until("status")
        world.stand_in.tell(task_id, "completed")
        watch.until("status", "completed", task_id)

    assert (made.task_id, state_of(made.status)) == (task_id, "pending")
    assert made.status.prompt == "a lighthouse"


def test_a_task_that_is_made_and_has_ended_between_two_looks_is_told(world):
    watch = world.watch_all()
    watch.until("caught_up")
    world.stand_in.go()
    task_id = world.create().id
    world.cancel(task_id)

    assert watch.until("status", "canceled")[-1].task_id == task_id


def test_a_stream_that_resumes_loses_no_step_of_any_task_at_any_replica(world):
    tasks = [world.submitted(), world.submitted()]
    for task_id in tasks:
        world.stand_in.tell(task_id, "processing")
    watch = world.watch_all()
    watch.until("caught_up")
    for step in (1, 2, 3):
        for task_id in tasks:
            world.stand_in.progress(task_id, step, 5)
    seen = []
    while len(seen) < 3:
        seen += shown(watch.until("progress"))
    watch.call.cancel()
    for step in (4, 5):
        for task_id in tasks:
            world.stand_in.progress(task_id, step, 5)
    with world.replica() as other:
        resumed = world.watch_all(watch.cursor, at=other)
        missed = shown(resumed.until("caught_up"))

    for task_id in tasks:
        steps = [step for told, kind, step in seen + missed if (told, kind) == (task_id, "progress")]
        assert set(steps) == {1, 2, 3, 4, 5}
        assert (task_id, "snapshot", "processing") in missed
    assert ("", "reset", None) not in missed


def test_what_has_ended_meanwhile_is_told_with_its_steps_by_the_stream_that_resumes(world):
    task_id = world.submitted()
    watch = world.watch_all()
    watch.until("caught_up")
    watch.call.cancel()
    world.stand_in.tell(task_id, "processing")
    for step in (1, 2):
        world.stand_in.progress(task_id, step, 2)
    world.stand_in.tell(task_id, "completed")
    eventually(lambda: state_of(world.get(task_id)) == "completed")

    missed = shown(world.watch_all(watch.cursor).until("caught_up"))

    assert missed == [
        (task_id, "status", "processing"),
        (task_id, "progress", 1),
        (task_id, "progress", 2),
        (task_id, "status", "completed"),
    ]


def test_what_was_made_and_has_ended_since_nothing_was_under_way_is_told(world):
    watch = world.watch_all()
    watch.until("caught_up")
    watch.call.cancel()
    task_id = world.submitted()
    world.stand_in.tell(task_id, "completed")
    eventually(lambda: state_of(world.get(task_id)) == "completed")

    assert shown(world.watch_all(watch.cursor).until("caught_up")) == [(task_id, "status", "completed")]


def test_the_end_of_the_only_task_leaves_a_cursor_that_can_be_resumed_from(world):
    ended = world.submitted()
    watch = world.watch_all()
    watch.until("caught_up")
    world.stand_in.tell(ended, "processing")
    world.stand_in.tell(ended, "completed")
    [*_, end] = watch.until("status", "completed")
    watch.call.cancel()
    task_id = world.submitted()
    world.stand_in.tell(task_id, "processing")
    world.stand_in.progress(task_id, 1, 2)

    missed = shown(world.watch_all(end.cursor).until("caught_up"))

    assert end.cursor
    assert [told for told in missed if told[0] == task_id] == [
        (task_id, "status", "processing"),
        (task_id, "progress", 1),
        (task_id, "snapshot", "processing"),
    ]


def test_no_cursor_passes_what_another_task_has_not_told_yet(world):
    busy = world.submitted()
    world.stand_in.tell(busy, "processing")
    unsubmitted = world.create().id
    watch = world.watch_all()
    watch.until("caught_up")
    world.stand_in.progress(busy, 1, 3)
    [held] = watch.until("progress")
    world.first.submit_waiting()
    watch.until("status", "pending", unsubmitted)
    world.stand_in.progress(busy, 2, 3)
    world.stand_in.progress(busy, 3, 3)
    freed = watch.until("progress") + watch.until("progress")

    assert held.cursor == ""
    assert any(event.cursor for event in freed)


def test_a_cursor_that_can_no_longer_be_resumed_from_gets_a_reset_and_everything_unfinished(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "processing")
    watch = world.watch_all()
    watch.until("caught_up")
    watch.call.cancel()
    world.stand_in.lose_log()

    told = shown(world.watch_all(watch.cursor).until("caught_up"))

    assert told == [("", "reset", None), (task_id, "snapshot", "processing")]


def test_whoever_missed_more_ends_than_are_told_gets_a_reset(world):
    watch = world.watch_all()
    watch.until("caught_up")
    watch.call.cancel()
    world.sql(
        "INSERT INTO generation_tasks (id, user_id, prompt, negative_prompt, model_name, width, height, steps, cfg,"
        " seed, count, status, job_version, origin, created_at, finished_at)"
        f" SELECT gen_random_uuid(), '{world.me}', 'a fox', '', 'sd15', 64, 64, 1, 1, 1, 1, 'canceled', 0, '', now(),"
        f" now() FROM generate_series(1, {ENDED_TOLD + 1})"
    )

    assert shown(world.watch_all(watch.cursor).until("caught_up")) == [("", "reset", None)]


@pytest.mark.parametrize("cursor", ["nonsense", ".", "a.1-", f"a.{'9' * 14}-1"])
def test_a_cursor_that_was_never_ours_is_refused(world, cursor):
    with pytest.raises(grpc.RpcError) as caught:
        world.watch_all(cursor).next()

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (reason(caught.value), fields(caught.value)) == ("INVALID_CURSOR", ["cursor"])


def test_the_newest_preview_comes_with_the_snapshot(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "processing")
    first = world.watch_all()
    first.until("caught_up")
    for image in (b"a quarter", b"half"):
        world.stand_in.preview(task_id, image)
        first.until("preview")

    assert shown(world.watch_all().until("caught_up")) == [
        (task_id, "snapshot", "processing"),
        (task_id, "preview", b"half"),
    ]


def test_however_many_streams_there_are_each_task_is_watched_once(world):
    tasks = [world.submitted(), world.submitted()]
    watches = [world.watch_all() for _ in range(5)]
    for watch in watches:
        watch.until("caught_up")
    world.stand_in.tell(tasks[0], "completed")
    for watch in watches:
        watch.until("status", "completed")

    assert world.stand_in.calls.count("WatchJob") == len(tasks)


def test_when_the_last_stream_has_gone_the_executor_is_left_too(world):
    task_id = world.submitted()
    first, second = world.watch_all(), world.watch_all()
    for watch in (first, second):
        watch.until("caught_up")
    first.call.cancel()
    world.stand_in.tell(task_id, "processing")
    second.until("status", "processing")
    assert world.stand_in.unwatched.empty()
    second.call.cancel()

    assert world.stand_in.unwatched.get(timeout=WAIT) == task_id


def test_a_person_may_have_so_many_streams_and_no_more(world):
    watches = [world.watch_all() for _ in range(STREAMS)]
    for watch in watches:
        watch.until("caught_up")

    with pytest.raises(grpc.RpcError) as caught:
        world.watch_all().next()

    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
    world.watch_all(owner=uuid4()).until("caught_up")
    watches[0].call.cancel()
    eventually(lambda: opens(world))


def opens(world) -> bool:
    try:
        return bool(world.watch_all().next())
    except grpc.RpcError:
        return False


def test_a_place_in_the_queue_that_changes_is_told(world):
    task_id = world.submitted()
    world.stand_in.jobs[task_id].position = 5
    with world.replica(LOOK_SECONDS / 10) as closely:
        closely.tasks.refresh_catalogue()
        watch = world.watch_all(at=closely)
        first = watch.next()
        watch.until("caught_up")
        world.stand_in.jobs[task_id].position = 2
        world.stand_in.jobs[task_id].waiting_reason = job_pb2.WAITING_REASON_USER_CAP
        [moved] = watch.until("status")

    assert (first.snapshot.position, moved.status.position) == (5, 2)
    assert moved.status.waiting_reason == task_pb2.WAITING_REASON_USER_CAP


def test_the_stream_of_all_ends_with_its_token(world):
    with pytest.raises(grpc.RpcError) as caught:
        list(world.watch_all(expires_in=2).call)

    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")


def test_a_stream_of_all_whose_session_is_revoked_ends_and_no_other_does(world):
    sid, task_id = uuid4(), world.submitted()
    revoked, other = world.watch_all(sid=sid), world.watch_all()
    for watch in (revoked, other):
        watch.until("caught_up")

    world.first.authority.revoke(sid)

    with pytest.raises(grpc.RpcError) as caught:
        list(revoked.call)
    assert reason(caught.value) == "TOKEN_REVOKED"
    world.stand_in.tell(task_id, "completed")
    other.until("status", "completed", task_id)
