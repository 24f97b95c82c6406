import grpc
import pytest

from services.generation.domain import CANCEL_TRIES
from services.generation.executor import ExecutorSilent
from tests.generation.conftest import held, in_parallel, state_of
from tests.grpc_errors import reason


def test_a_task_that_never_left_stops_at_once_and_never_leaves(world):
    world.stand_in.go()
    task_id = world.create().id

    task = world.cancel(task_id)
    world.executor_returns()
    world.first.submit_waiting()

    assert state_of(task) == "canceled"
    assert task.HasField("finish_time")
    assert not task.cancel_requested
    assert world.stand_in.jobs == {}


def test_while_the_executor_is_known_to_be_away_nothing_leaves_so_a_cancel_stops_at_once(world):
    task_id = world.create().id
    world.stand_in.go()
    with pytest.raises(Exception, match="UNAVAILABLE"):
        world.first.tasks.refresh_catalogue()
    world.first.reconciler.submit_waiting()

    assert state_of(world.cancel(task_id)) == "canceled"


def test_a_waiting_job_is_canceled_at_the_executor(world):
    task_id = world.submitted()

    assert state_of(world.cancel(task_id)) == "canceled"
    assert world.stand_in.calls.count("CancelJob") == 1


def test_a_running_task_shows_the_request_until_its_worker_stops(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "processing")

    asked = world.cancel(task_id)
    world.stand_in.tell(task_id, "canceled")
    ended = world.get(task_id)

    assert (state_of(asked), asked.cancel_requested) == ("processing", True)
    assert (state_of(ended), ended.cancel_requested) == ("canceled", False)


def test_a_job_that_is_faster_than_its_cancel_completes(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "processing")
    world.cancel(task_id)
    world.stand_in.tell(task_id, "completed")

    assert state_of(world.get(task_id)) == "completed"


def test_a_cancel_that_the_executor_missed_is_repeated(world):
    task_id = world.submitted()
    world.stand_in.go()

    asked = world.cancel(task_id)
    world.executor_returns()
    world.first.reconciler.repeat_cancels()

    assert (state_of(asked), asked.cancel_requested) == ("pending", True)
    assert state_of(world.get(task_id)) == "canceled"


def test_canceling_twice_is_canceling(world):
    task_id = world.submitted()
    first = world.cancel(task_id)

    assert world.cancel(task_id) == first


@pytest.mark.parametrize("state", ["completed", "failed"])
def test_a_finished_task_cannot_be_canceled(world, state):
    task_id = world.submitted()
    world.stand_in.tell(task_id, state, failure={"reason": 1, "message": "no"} if state == "failed" else None)
    world.get(task_id)

    with pytest.raises(grpc.RpcError) as caught:
        world.cancel(task_id)

    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.FAILED_PRECONDITION, "TASK_FINISHED")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_cancel_during_a_submit_is_not_lost(world, moment):
    """`before`: the executor hears of the cancel first, and keeps a tombstone; `after`: of the job first."""
    task_id = world.create().id
    with held(getattr(world.stand_in, moment), "SubmitJob", world.first.submit_waiting):
        canceled = world.cancel(task_id)

    assert state_of(canceled) == "canceled"
    assert state_of(world.get(task_id)) == "canceled"
    assert world.stand_in.jobs[task_id].finish_time.seconds


def test_a_cancel_after_an_unanswered_submit_is_left_to_the_executor(world):
    task_id = world.create().id
    world.stand_in.after["SubmitJob"] = world.stand_in.go
    world.first.submit_waiting()

    asked = world.cancel(task_id)
    world.executor_returns()
    world.clock.advance(minutes=1)
    world.first.submit_waiting()
    still_asked = world.row(task_id)
    world.first.reconciler.repeat_cancels()

    assert (state_of(asked), asked.cancel_requested) == ("pending", True)
    assert still_asked.submitted_at is None
    assert state_of(world.get(task_id)) == "canceled"


def test_a_cancel_and_a_submit_at_once_always_end_in_a_canceled_task(world):
    for _ in range(10):
        task_id = world.create().id
        work = [world.first.submit_waiting, lambda task_id=task_id: world.cancel(task_id)]
        in_parallel(2, lambda i, work=work: work[i]())
        world.first.reconciler.repeat_cancels()

        assert state_of(world.get(task_id)) == "canceled"
        known = world.stand_in.jobs.get(task_id)
        assert known is None or known.HasField("finish_time")


def test_one_cancel_that_the_executor_cannot_do_does_not_keep_the_others_waiting(world):
    tasks = [world.submitted() for _ in range(3)]
    world.stand_in.go()
    for task_id in tasks:
        world.cancel(task_id)
    world.executor_returns()
    calls = iter([True, False, False])

    def fail_first() -> None:
        if next(calls):
            raise ValueError

    world.stand_in.before["CancelJob"] = fail_first
    world.first.reconciler.repeat_cancels()

    assert [state_of(world.get(task_id)) for task_id in tasks] == ["pending", "canceled", "canceled"]


def repeat(world, seconds: int) -> list[int]:
    """Let the reconciler repeat cancels each second; after how many seconds the executor was asked."""
    asked_after = []
    for second in range(seconds):
        world.stand_in.calls.clear()
        world.first.reconciler.repeat_cancels()
        asked_after += [second] * world.stand_in.calls.count("CancelJob")
        world.clock.advance(seconds=1)
    return asked_after


def test_a_cancel_at_which_the_executor_fails_again_and_again_is_given_after_minutes_and_not_never(world):
    task_id = world.submitted()
    world.stand_in.failing = {"CancelJob"}
    asked = world.cancel(task_id)
    assert (state_of(asked), asked.cancel_requested) == ("pending", True)

    asked_after = repeat(world, 600)

    assert state_of(world.get(task_id)) == "canceled"
    assert len(asked_after) == CANCEL_TRIES
    assert asked_after[-1] > 120


def test_a_job_that_ends_while_the_executor_fails_at_its_cancel_ends_the_task(world):
    task_id = world.submitted()
    world.stand_in.failing = {"CancelJob"}
    world.cancel(task_id)
    repeat(world, 30)
    world.stand_in.tell(task_id, "completed", hint=False)

    world.first.reconciler.reconcile()

    assert state_of(world.get(task_id)) == "completed"


def test_two_replicas_that_repeat_a_cancel_at_once_count_it_once(world):
    task_id = world.submitted()
    world.stand_in.failing = {"CancelJob"}
    world.cancel(task_id)
    with world.replica() as second, held(world.stand_in.before, "CancelJob", second.reconciler.repeat_cancels):
        world.first.reconciler.repeat_cancels()

    assert world.row(task_id).cancel_failures == 1


def test_an_executor_that_is_absent_ends_no_task_that_is_to_be_canceled(world):
    task_id = world.submitted()
    world.stand_in.go()
    world.cancel(task_id)
    for _ in range(3 * CANCEL_TRIES):
        with pytest.raises(ExecutorSilent):
            world.first.reconciler.repeat_cancels()
        world.clock.advance(minutes=10)

    row = world.row(task_id)
    assert (row.status, row.cancel_failures) == ("pending", 0)
