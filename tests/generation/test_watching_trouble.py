"""What a watch outlives, and what it ends with: the executor, the database, a token, a revocation."""

from datetime import UTC, datetime
from uuid import uuid4

import grpc
import pytest
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import task_pb2

from tests.generation.conftest import WAIT, kinds, state_of
from tests.grpc_errors import reason
from tests.identities import as_person


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
