import threading
from uuid import uuid4

import grpc
import pytest
from imagegen.generation.v1 import task_pb2

from tests.generation.conftest import state_of
from tests.grpc_errors import fields, reason


def test_a_waiting_task_shows_its_place_and_why_it_waits(world):
    task_id = world.submitted()
    world.stand_in.jobs[task_id].position = 3
    world.stand_in.jobs[task_id].waiting_reason = task_pb2.WAITING_REASON_NO_CAPACITY

    task = world.get(task_id)

    assert (task.position, task.waiting_reason) == (3, task_pb2.WAITING_REASON_NO_CAPACITY)


def test_a_running_task_shows_its_progress(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "processing", progress={"step": 3, "steps": 20})

    task = world.get(task_id)

    assert state_of(task) == "processing"
    assert (task.progress.step, task.progress.steps) == (3, 20)
    assert task.HasField("start_time")
    assert (task.position, task.waiting_reason) == (0, task_pb2.WAITING_REASON_UNSPECIFIED)


def test_reading_a_task_learns_what_no_event_told(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "completed", hint=False)

    task = world.get(task_id)
    world.stand_in.go()

    assert state_of(task) == "completed"
    assert task.HasField("finish_time")
    assert world.get(task_id) == task


def test_a_failed_task_says_why(world):
    task_id = world.submitted()
    world.stand_in.tell(
        task_id, "failed", failure={"reason": task_pb2.FAILURE_REASON_OUT_OF_MEMORY, "message": "too large"}
    )

    task = world.get(task_id)

    assert state_of(task) == "failed"
    assert (task.failure.reason, task.failure.message) == (task_pb2.FAILURE_REASON_OUT_OF_MEMORY, "too large")


def test_with_the_executor_away_a_task_is_what_was_last_known(world):
    task_id = world.submitted()
    world.stand_in.go()

    task = world.get(task_id)

    assert (state_of(task), task.waiting_reason) == ("pending", task_pb2.WAITING_REASON_QUEUED)
    assert task.position == 0


def test_an_executor_that_answers_late_does_not_hold_a_person_up(world):
    task_id = world.submitted()
    release = threading.Event()
    world.stack.callback(release.set)
    world.stand_in.before["BatchGetJobs"] = release.wait

    assert state_of(world.get(task_id)) == "pending"


def test_a_history_is_read_in_pages_from_the_newest_on(world):
    made = [world.create().id for _ in range(5)]
    world.create(uuid4())

    first = world.listed(page_size=2)
    second = world.listed(page_size=2, page_token=first.next_page_token)
    third = world.listed(page_size=2, page_token=second.next_page_token)

    assert [t.id for page in (first, second, third) for t in page.tasks] == made[::-1]
    assert third.next_page_token == ""


def test_a_page_that_is_exactly_full_is_the_last(world):
    for _ in range(2):
        world.create()

    assert world.listed(page_size=2).next_page_token == ""
    assert world.listed(uuid4()).tasks == []


def test_a_page_asks_the_executor_once_and_shows_what_it_told(world):
    waiting, running, done, new = (world.submitted(), world.submitted(), world.submitted(), world.create().id)
    world.stand_in.tell(running, "processing", hint=False, progress={"step": 1, "steps": 4})
    world.stand_in.tell(done, "completed", hint=False)
    world.stand_in.calls.clear()

    tasks = {task.id: task for task in world.listed().tasks}

    assert [state_of(tasks[i]) for i in (new, done, running, waiting)] == [
        "pending",
        "completed",
        "processing",
        "pending",
    ]
    assert (tasks[running].progress.step, tasks[waiting].position) == (1, 1)
    assert world.stand_in.calls == ["BatchGetJobs"]


def test_finished_tasks_cost_the_executor_nothing(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "completed")
    world.get(task_id)
    world.stand_in.calls.clear()

    world.get(task_id)
    world.listed()

    assert world.stand_in.calls == []


def test_a_page_token_that_was_not_made_here_is_refused(world):
    with pytest.raises(grpc.RpcError) as caught:
        world.listed(page_token="nonsense")

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (reason(caught.value), fields(caught.value)) == ("INVALID_CURSOR", ["page_token"])


@pytest.mark.parametrize("read", ["get", "cancel"])
def test_somebody_elses_task_does_not_exist(world, read):
    task = world.create()

    for task_id, owner in ((task.id, uuid4()), (str(uuid4()), world.me)):
        with pytest.raises(grpc.RpcError) as caught:
            getattr(world, read)(task_id, owner)
        assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
    assert state_of(world.get(task.id)) == "pending"
