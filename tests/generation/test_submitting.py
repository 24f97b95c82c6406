"""The outbox: what was accepted reaches the executor once, or ends with a reason."""

import asyncio
import threading
from itertools import pairwise

import grpc
import pytest
from imagegen.executor.v1 import job_pb2
from imagegen.generation.v1 import task_pb2
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from services.generation.domain import SUBMIT_TRIES
from services.generation.reconciler import HOPELESS
from tests.generation.conftest import WAIT, held, in_parallel, state_of
from tests.identities import verifier


def test_a_submit_carries_the_whole_task_and_names_this_service(world):
    task = world.create(prompt="a lighthouse", seed=5, count=2, cfg=2.5)
    world.first.submit_waiting()

    request = world.stand_in.submitted.get(timeout=WAIT)
    assert (request.job_id, request.owner_id, request.model) == (task.id, str(world.me), "sd15")
    for field in ("prompt", "negative_prompt", "width", "height", "steps", "cfg", "seed", "count"):
        assert getattr(request.spec, field) == getattr(task, field)
    token = world.stand_in.metadata["authorization"].removeprefix("Bearer ")
    assert asyncio.run(verifier("executor").verify(token)).name == "generation"


def test_a_new_task_is_submitted_at_once(world):
    world.first.reconciler.start()
    task = world.create()

    assert world.stand_in.submitted.get(timeout=WAIT).job_id == task.id


def test_a_task_is_submitted_once(world):
    task_id = world.submitted()
    world.clock.advance(hours=1)
    world.first.submit_waiting()

    assert world.stand_in.submitted.get(timeout=WAIT).job_id == task_id
    assert world.stand_in.submitted.empty()


def test_what_was_accepted_while_the_executor_was_away_is_submitted_when_it_returns(world):
    world.first.reconciler.start()
    world.stand_in.go()
    tasks = {world.create().id for _ in range(3)}
    world.executor_returns()

    assert {world.stand_in.submitted.get(timeout=WAIT).job_id for _ in tasks} == tasks


def test_what_is_sent_late_goes_on_in_the_request_and_the_trace_of_its_task(world):
    late = world.create().id
    world.first.submit_waiting()
    carries(world, late)

    world.stand_in.go()
    world.cancel(late)
    world.executor_returns()
    world.first.reconciler.repeat_cancels()
    assert world.stand_in.calls[-1] == "CancelJob"
    carries(world, late)


def carries(world, task_id):
    row, sent = world.row(task_id), world.stand_in.metadata
    assert sent["x-request-id"] == row.origin
    _, trace, span, _ = row.traceparent.split("-")
    assert sent["traceparent"].split("-")[1] == trace
    assert sent["traceparent"].split("-")[2] != span


def test_the_log_line_of_a_submit_that_fails_names_the_request(world):
    task_id = world.create().id
    world.stand_in.failing.add("SubmitJob")
    with capture_logs(processors=[merge_contextvars]) as lines:
        world.first.submit_waiting()
    [line] = [line for line in lines if line["event"] == "submit failed"]
    row = world.row(task_id)
    assert (line["request_id"], line["trace_id"]) == (row.origin, row.traceparent.split("-")[1])


def test_what_a_crashed_replica_left_behind_is_submitted_by_another(world):
    task_id = world.create().id
    reached = threading.Event()
    world.stand_in.before["SubmitJob"] = lambda: (reached.set(), world.stand_in.go())
    world.first.submit_waiting()
    assert reached.is_set()
    world.stand_in.before.clear()
    world.executor_returns()
    world.clock.advance(seconds=10)

    with world.replica() as second:
        second.submit_waiting()

    assert world.row(task_id).submitted_at


def test_a_submit_whose_answer_was_lost_is_repeated_without_harm(world):
    task_id = world.create().id
    world.stand_in.after["SubmitJob"] = world.stand_in.go
    world.first.submit_waiting()
    assert world.row(task_id).submitted_at is None

    world.stand_in.after.clear()
    world.executor_returns()
    world.clock.advance(seconds=10)
    world.first.submit_waiting()

    assert world.row(task_id).job_version == 1
    assert len(world.stand_in.jobs) == 1


def test_replicas_share_the_outbox_without_submitting_twice(world):
    tasks = sorted(world.create().id for _ in range(20))
    with world.replica() as second:
        replicas = [world.first, second]
        in_parallel(4, lambda i: replicas[i % 2].submit_waiting())

    submitted = [world.stand_in.submitted.get(timeout=WAIT).job_id for _ in range(world.stand_in.submitted.qsize())]
    assert sorted(submitted) == tasks


@pytest.mark.parametrize("code", [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT])
def test_what_the_executor_refuses_fails_with_its_reason(world, code):
    task_id = world.create().id
    world.stand_in.refusal = (code, "no worker has its files")
    world.first.submit_waiting()

    task = world.get(task_id)

    assert state_of(task) == "failed"
    assert task.HasField("finish_time")
    assert (task.failure.reason, task.failure.message) == (
        task_pb2.FAILURE_REASON_REFUSED,
        "No worker has its files.",
    )


def test_a_refusal_that_arrives_after_another_replica_was_accepted_changes_nothing(world):
    task_id = world.create().id
    world.stand_in.refusal = (grpc.StatusCode.FAILED_PRECONDITION, "no worker has its files")
    with held(world.stand_in.after, "SubmitJob", world.first.submit_waiting), world.replica() as second:
        world.stand_in.refusal = None
        world.clock.advance(seconds=10)
        second.submit_waiting()

    assert state_of(world.get(task_id)) == "pending"
    assert world.row(task_id).submitted_at


def test_what_the_executor_cannot_do_now_is_tried_again_and_holds_nothing_up(world):
    first = world.create().id
    world.stand_in.refusal = (grpc.StatusCode.INTERNAL, "an internal error")
    world.first.submit_waiting()
    world.stand_in.refusal = None
    second = world.create().id
    world.first.submit_waiting()

    assert world.row(first).submitted_at is None
    assert world.row(second).submitted_at

    world.clock.advance(seconds=10)
    world.first.submit_waiting()
    assert world.row(first).submitted_at


def fail(world, code: grpc.StatusCode = grpc.StatusCode.INTERNAL, times: int = SUBMIT_TRIES) -> int:
    """Let the outbox try so often, each try as soon as it is due; the submits that were sent."""
    world.stand_in.refusal = (code, "an internal error; it has been logged")
    world.stand_in.calls.clear()
    for _ in range(times):
        world.first.submit_waiting()
        world.clock.advance(minutes=10)
    return world.stand_in.calls.count("SubmitJob")


def test_a_task_whose_submit_fails_again_and_again_ends_with_a_reason_for_a_person(world):
    task_id = world.create().id

    assert fail(world, times=SUBMIT_TRIES - 1) == SUBMIT_TRIES - 1
    assert state_of(world.get(task_id)) == "pending"
    assert fail(world, times=3) == 1

    task = world.get(task_id)
    assert (state_of(task), task.failure.reason) == ("failed", task_pb2.FAILURE_REASON_REFUSED)
    assert task.failure.message == HOPELESS
    assert world.stand_in.jobs[task_id].state == job_pb2.JOB_STATE_CANCELED, "nobody paints what has failed"


def test_the_pauses_between_submits_that_fail_grow(world):
    world.create()
    world.stand_in.refusal = (grpc.StatusCode.INTERNAL, "an internal error")
    tried_after = []
    for second in range(100):
        world.stand_in.calls.clear()
        world.first.submit_waiting()
        tried_after += [second] * world.stand_in.calls.count("SubmitJob")
        world.clock.advance(seconds=1)

    pauses = [later - earlier for earlier, later in pairwise(tried_after)]
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 4 * pauses[0]


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_an_executor_that_is_absent_costs_a_task_nothing(world, code):
    task_id = world.create().id

    fail(world, code, 3 * SUBMIT_TRIES)

    assert (state_of(world.get(task_id)), world.row(task_id).submit_failures) == ("pending", 0)


def test_a_job_that_was_queued_although_its_submit_failed_is_painted(world):
    task_id = world.create().id
    world.stand_in.queues_what_it_refuses = True

    fail(world)
    world.stand_in.tell(task_id, "completed")

    assert world.row(task_id).submitted_at
    assert state_of(world.get(task_id)) == "completed"
