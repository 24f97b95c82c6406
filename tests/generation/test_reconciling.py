"""How a task learns what became of its job, whoever was away meanwhile."""

import threading

import grpc
import pytest
from imagegen.executor.v1 import job_pb2
from imagegen.generation.v1 import task_pb2

from services.generation.domain import SUBMIT_TRIES
from services.generation.executor import ExecutorSilent
from services.generation.reconciler import HOPELESS
from tests.generation.builders import a_model_message
from tests.generation.conftest import WAIT, eventually, held, in_parallel, state_of
from tests.generation.test_submitting import fail


def test_an_executor_that_fails_at_everything_does_not_keep_a_task_for_ever(world):
    task_id = world.create().id
    world.stand_in.failing = {"SubmitJob", "BatchGetJobs", "CancelJob"}

    fail(world)

    assert state_of(world.get(task_id)) == "failed"


def test_an_executor_that_speaks_of_what_nobody_knows_does_not_keep_a_task_for_ever(world):
    task_id = world.create().id
    world.stand_in.jobs[task_id] = job_pb2.Job(id=task_id, version=1, state=99)

    assert fail(world, times=SUBMIT_TRIES + 3) == SUBMIT_TRIES

    task = world.get(task_id)
    assert (state_of(task), task.failure.message) == ("failed", HOPELESS)


def test_a_task_of_whose_job_nobody_understands_the_state_can_be_read(world):
    task_id = world.submitted()
    world.stand_in.jobs[task_id].state = 99

    assert state_of(world.get(task_id)) == "pending"


def test_what_vanishes_while_it_is_given_up_is_given_up_later(world):
    task_id = world.create().id
    world.stand_in.before["BatchGetJobs"] = world.stand_in.go
    fail(world)
    assert state_of(world.get(task_id)) == "pending"
    world.stand_in.before.clear()
    world.executor_returns()

    fail(world, times=1)

    assert state_of(world.get(task_id)) == "failed"


def test_a_model_whose_last_worker_vanished_fails_its_tasks_with_the_executors_sentence(world):
    task_id = world.create().id
    sentence = "the model 'sd15' is not available: no worker has its files"
    world.stand_in.refusal = (grpc.StatusCode.FAILED_PRECONDITION, sentence)
    world.first.submit_waiting()

    task = world.get(task_id)

    assert (state_of(task), task.failure.reason) == ("failed", task_pb2.FAILURE_REASON_REFUSED)
    assert task.failure.message == "The model 'sd15' is not available: no worker has its files."


def test_changes_arrive_by_the_stream(world):
    task_id = world.submitted()
    only_told = world.stand_in.tell(task_id, "completed", hint=False)
    world.stand_in.jobs[task_id].version = 1
    world.stand_in.jobs[task_id].state = job_pb2.JOB_STATE_PENDING
    world.first.reconciler.start()
    world.stand_in.followed.get(timeout=WAIT)

    world.stand_in.hint(only_told)

    eventually(lambda: world.row(task_id).status == "completed")


def test_late_and_repeated_and_disordered_hints_change_nothing(world):
    task_id, last = world.submitted(), world.submitted()
    processing = world.stand_in.tell(task_id, "processing", hint=False)
    pending = world.stand_in.tell(task_id, "pending", hint=False)
    completed = world.stand_in.tell(task_id, "completed", hint=False)
    world.first.reconciler.start()
    world.stand_in.followed.get(timeout=WAIT)

    for job in (pending, processing, completed, processing, pending, completed):
        world.stand_in.hint(job)
    world.stand_in.tell(last, "completed")
    eventually(lambda: world.row(last).status == "completed")

    row = world.row(task_id)
    assert (row.status, row.job_version) == ("completed", completed.version)


def test_what_happened_while_nobody_followed_is_learnt_by_asking(world):
    done, running, waiting = (world.submitted() for _ in range(3))
    world.stand_in.tell(done, "completed", hint=False)
    world.stand_in.tell(running, "processing", hint=False)

    world.first.reconciler.reconcile()

    assert [world.row(task_id).status for task_id in (done, running, waiting)] == ["completed", "processing", "pending"]


def test_following_begins_with_asking(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "completed", hint=False)
    world.stand_in.calls.clear()

    def follow() -> None:
        with pytest.raises(ExecutorSilent):
            world.first.reconciler.follow()

    following = threading.Thread(target=follow)
    following.start()
    eventually(lambda: world.row(task_id).status == "completed")
    world.stand_in.go()
    following.join(WAIT)

    assert sorted(world.stand_in.calls) == ["BatchGetJobs", "WatchTransitions"]


def test_every_unfinished_task_is_asked_about_however_many_there_are(world):
    task_id = world.submitted()
    job = world.stand_in.jobs[task_id]
    world.sql(
        "INSERT INTO generation_tasks SELECT gen_random_uuid(), user_id, prompt, negative_prompt, model_name, width,"
        " height, steps, cfg, seed, count, status, NULL, NULL, waiting_reason, NULL, NULL, job_version,"
        " submit_tried_at, submitted_at, NULL, origin, created_at, NULL, NULL"
        " FROM generation_tasks, generate_series(1, 1200)"
    )
    with world.engine.begin() as tx:
        for row in tx.exec_driver_sql("SELECT id FROM generation_tasks"):
            copy = world.stand_in.jobs.setdefault(str(row.id), job_pb2.Job())
            copy.CopyFrom(job)
            copy.id = str(row.id)
            world.stand_in.tell(copy.id, "completed", hint=False)
    world.stand_in.calls.clear()

    world.first.reconciler.reconcile()

    with world.engine.begin() as tx:
        counted = tx.exec_driver_sql("SELECT status, count(*) FROM generation_tasks GROUP BY 1").all()
    assert counted == [("completed", 1201)]
    assert world.stand_in.calls == ["BatchGetJobs"] * 3


def test_two_reconcilers_at_once_agree(world):
    tasks = [world.submitted() for _ in range(20)]
    for task_id in tasks:
        world.stand_in.tell(task_id, "processing", hint=False)
        world.stand_in.tell(task_id, "completed", hint=False)
    with world.replica() as second:
        replicas = [world.first, second]
        failures = in_parallel(8, lambda i: replicas[i % 2].reconciler.reconcile())

    assert failures == [None] * 8
    assert {world.row(task_id).status for task_id in tasks} == {"completed"}


def test_a_job_that_the_executor_lost_is_submitted_again_and_heard_from_its_start(world):
    task_id = world.submitted()
    for state in ("processing", "pending", "processing"):
        world.stand_in.tell(task_id, state)
    world.first.reconciler.reconcile()
    world.stand_in.lose_database()

    world.first.reconciler.reconcile()
    assert state_of(world.get(task_id)) == "pending"
    world.clock.advance(seconds=10)
    world.first.submit_waiting()
    world.stand_in.tell(task_id, "completed")

    assert world.stand_in.jobs[task_id].version == 2
    assert state_of(world.get(task_id)) == "completed"


def test_an_executor_that_was_restored_from_a_backup_is_believed(world):
    task_id = world.submitted()
    backup = job_pb2.Job()
    backup.CopyFrom(world.stand_in.jobs[task_id])
    for state in ("processing", "pending", "processing"):
        world.stand_in.tell(task_id, state)
    world.first.reconciler.reconcile()
    world.stand_in.jobs[task_id] = backup

    world.first.reconciler.reconcile()
    world.stand_in.tell(task_id, "completed")
    world.first.reconciler.reconcile()

    assert state_of(world.get(task_id)) == "completed"


def test_a_lost_job_whose_cancel_was_asked_for_is_canceled_and_not_submitted(world):
    task_id = world.submitted()
    world.stand_in.tell(task_id, "processing")
    world.cancel(task_id)
    world.stand_in.lose_database()

    world.first.reconciler.reconcile()
    world.clock.advance(seconds=10)
    world.first.submit_waiting()
    world.first.reconciler.repeat_cancels()

    assert state_of(world.get(task_id)) == "canceled"
    assert world.stand_in.submitted.qsize() == 1


def test_a_job_submitted_while_the_executor_was_being_asked_is_not_taken_for_lost(world):
    first = world.submitted()
    with held(world.stand_in.after, "BatchGetJobs", world.first.reconciler.reconcile):
        second = world.submitted()

    assert all(world.row(task_id).submitted_at for task_id in (first, second))


def test_a_loss_that_another_reconciler_has_dealt_with_is_not_dealt_with_again(world):
    task_id = world.submitted()
    world.stand_in.lose_database()
    with world.replica() as second, held(world.stand_in.after, "BatchGetJobs", second.reconciler.reconcile):
        world.first.reconciler.reconcile()
        world.clock.advance(seconds=10)
        world.first.submit_waiting()
        again = world.row(task_id)

    assert again.submitted_at
    assert world.row(task_id) == again


def test_the_steps_say_that_the_executor_is_away_and_work_when_it_returns(world):
    task_id = world.submitted()
    world.stand_in.go()
    for step in (world.first.reconciler.reconcile, world.first.tasks.refresh_catalogue):
        with pytest.raises(ExecutorSilent):
            step()
    world.executor_returns()
    world.stand_in.tell(task_id, "completed")

    world.first.reconciler.reconcile()

    assert state_of(world.get(task_id)) == "completed"


def test_a_step_that_breaks_is_taken_again(world, capfd):
    world.sql("ALTER TABLE models RENAME TO models_elsewhere")
    world.first.reconciler.start()
    eventually(lambda: "refresh_catalogue" in (printed := capfd.readouterr().out) and "step failed" in printed)

    world.sql("ALTER TABLE models_elsewhere RENAME TO models")
    world.stand_in.models = [a_model_message("later")]

    eventually(lambda: [model.name for model in world.first.tasks.models()] == ["later"])
