from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import pytest
from imagegen.executor.v1 import model_pb2
from imagegen.generation.v1 import generation_service_pb2 as pb

from tests.generation.builders import a_model_message
from tests.generation.conftest import CAP, WAIT, in_parallel, state_of
from tests.grpc_errors import fields, reason, retry_seconds
from tests.identities import as_person


def refused(world, **asked: object) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        world.create(**asked)
    return caught.value


def test_a_new_task_waits_with_everything_filled_in(world):
    task = world.create(prompt="a lighthouse")

    assert (state_of(task), task.model, task.prompt) == ("pending", "sd15", "a lighthouse")
    assert (task.width, task.height, task.steps, task.cfg, task.count) == (512, 768, 20, 8.0, 1)
    assert task.negative_prompt == "blurry"
    assert task.waiting_reason
    assert abs(task.create_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert not task.HasField("start_time")
    assert not task.HasField("finish_time")


def test_what_the_person_chose_stands(world):
    chosen = {"negative_prompt": "", "width": 64, "height": 72, "steps": 1, "cfg": 1.5, "seed": 0, "count": 2}

    task = world.create(**chosen)

    assert {name: getattr(task, name) for name in chosen} == chosen


def test_seeds_left_out_are_drawn_at_random_within_what_json_can_carry(world):
    seeds = {world.create().seed for _ in range(5)}

    assert len(seeds) == 5
    assert all(0 <= seed < 2**53 for seed in seeds)


def test_a_task_is_accepted_while_the_executor_is_away(world):
    world.stand_in.go()

    task = world.create()

    assert state_of(world.get(task.id)) == "pending"


def test_a_repeat_returns_the_first_calls_task(world):
    first = world.created(request_id="r", prompt="a lighthouse", cfg=2)
    again = world.created(request_id="r", prompt="a lighthouse", cfg=2)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.task == first.task


def test_a_repeat_is_answered_whatever_has_changed_since(world):
    first = world.create(request_id="r")
    world.cancel(first.id)
    world.sql("UPDATE models SET is_active = false")

    again = world.created(request_id="r")

    assert (again.task.id, again.replayed, state_of(again.task)) == (first.id, True, "canceled")


@pytest.mark.parametrize("other", [{"prompt": "a tower"}, {"seed": 0}, {"width": 512}, {"negative_prompt": ""}])
def test_a_request_id_belongs_to_one_request(world, other):
    world.create(request_id="r", prompt="a lighthouse")

    error = refused(world, request_id="r", **other)

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (reason(error), fields(error)) == ("REQUEST_ID_REUSED", ["request_id"])


def test_two_people_may_use_the_same_request_id(world):
    tasks = {world.create(owner, request_id="r").id for owner in (uuid4(), uuid4())}

    assert len(tasks) == 2


def test_without_a_request_id_every_call_makes_a_task(world):
    assert world.create().id != world.create().id


def test_two_hundred_repeats_at_once_make_one_task_and_one_job(world):
    with world.replica() as second:
        for replica in (world.first, second):
            replica.reconciler.start()
        stubs = [world.first.stub, second.stub]
        request = pb.CreateTaskRequest(request_id="r", prompt="a lighthouse", model="sd15")
        metadata = as_person(world.me)
        answers = in_parallel(200, lambda i: stubs[i % 2].CreateTask(request, metadata=metadata, timeout=30))
        job = world.stand_in.submitted.get(timeout=WAIT)

    assert {answer.task.id for answer in answers} == {job.job_id}
    assert Counter(answer.replayed for answer in answers) == {True: 199, False: 1}
    assert len(world.listed().tasks) == 1
    assert world.stand_in.jobs.keys() == {job.job_id}


def test_of_two_requests_that_race_for_one_id_one_is_made_and_the_other_refused(world):
    with world.replica() as second:
        stubs = [world.first.stub, second.stub]
        metadata = as_person(world.me)

        def call(i: int) -> pb.CreateTaskResponse:
            request = pb.CreateTaskRequest(request_id="r", prompt=f"a lighthouse {i // 2 % 2}", model="sd15")
            return stubs[i % 2].CreateTask(request, metadata=metadata, timeout=30)

        answers = in_parallel(40, call)

    [made] = world.listed().tasks
    refusals = [reason(answer) for answer in answers if isinstance(answer, grpc.RpcError)]
    assert refusals == ["REQUEST_ID_REUSED"] * 20
    assert {answer.task.id for answer in answers if not isinstance(answer, grpc.RpcError)} == {made.id}


def test_a_repeat_is_answered_through_another_replica_and_after_more_than_a_day(world):
    first = world.create(request_id="r")
    world.clock.advance(hours=25)
    with world.replica() as second:
        request = pb.CreateTaskRequest(request_id="r", prompt="a lighthouse", model="sd15")
        again = second.stub.CreateTask(request, metadata=as_person(world.me), timeout=WAIT)

    assert (again.task.id, again.replayed) == (first.id, True)


def test_the_cap_counts_unfinished_tasks(world):
    tasks = [world.create() for _ in range(CAP)]

    error = refused(world)

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason(error) == "USER_QUEUE_FULL"
    assert retry_seconds(error) > 0
    world.cancel(tasks[0].id)
    assert world.create()
    assert world.create(uuid4())


def test_a_full_queue_still_answers_repeats(world):
    first = world.create(request_id="r")
    for _ in range(CAP - 1):
        world.create()

    assert world.created(request_id="r").task.id == first.id


def test_the_cap_holds_against_calls_at_once(world):
    with world.replica() as second:
        stubs = [world.first.stub, second.stub]
        request = pb.CreateTaskRequest(prompt="a lighthouse", model="sd15")
        metadata = as_person(world.me)
        answers = in_parallel(2 * CAP, lambda i: stubs[i % 2].CreateTask(request, metadata=metadata, timeout=30))

    codes = Counter(a.code() if isinstance(a, grpc.RpcError) else grpc.StatusCode.OK for a in answers)
    assert codes == {grpc.StatusCode.OK: CAP, grpc.StatusCode.RESOURCE_EXHAUSTED: CAP}


def test_an_unknown_model_is_named(world):
    error = refused(world, model="sd99")

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (reason(error), fields(error)) == ("MODEL_UNKNOWN", ["model"])


def test_a_model_that_was_uninstalled_is_unknown(world):
    world.stand_in.models = []
    world.first.tasks.refresh_catalogue()

    assert reason(refused(world)) == "MODEL_UNKNOWN"


def test_a_model_that_is_switched_off_is_refused(world):
    world.sql("UPDATE models SET is_active = false")

    error = refused(world)

    assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_UNAVAILABLE")


def test_a_model_that_no_worker_has_is_refused_and_a_cold_one_accepted(world):
    world.stand_in.models = [
        a_model_message("none", availability=model_pb2.MODEL_AVAILABILITY_UNAVAILABLE),
        a_model_message("cold", availability=model_pb2.MODEL_AVAILABILITY_COLD),
    ]
    world.first.tasks.refresh_catalogue()

    error = refused(world, model="none")

    assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_UNAVAILABLE")
    assert world.create(model="cold")


def test_parameters_outside_the_models_limits_are_named(world):
    error = refused(world, width=4096, height=513, steps=101, cfg=99, count=4)

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(error) == "PARAMETER_OUT_OF_RANGE"
    assert sorted(fields(error)) == ["cfg", "count", "height", "steps", "width"]


def test_a_model_that_has_just_become_available_is_accepted_at_once(world):
    world.stand_in.models = [a_model_message("new", availability=model_pb2.MODEL_AVAILABILITY_UNAVAILABLE)]
    world.first.tasks.refresh_catalogue()
    world.stand_in.models = [a_model_message("new")]
    assert reason(refused(world, model="new")) == "MODEL_UNAVAILABLE", "the list is a moment old"
    world.clock.advance(seconds=1)

    assert world.create(model="new")


def test_before_the_executor_has_ever_told_of_models_a_retry_is_asked_for(world):
    world.sql("DELETE FROM models")
    world.stand_in.go()

    error = refused(world)

    assert (error.code(), reason(error)) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert retry_seconds(error) > 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", " \n\u3000"),
        ("prompt", "x" * 2001),
        ("prompt", "a\x00b"),
        ("model", ""),
        ("negative_prompt", "a\x07"),
        ("width", 0),
        ("steps", -1),
        ("cfg", -1),
        ("seed", -1),
        ("seed", 2**53),
        ("count", 5),
        ("request_id", "r" * 129),
    ],
)
def test_a_field_that_breaks_the_contract_is_named(world, field, value):
    error = refused(world, **{field: value})

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (reason(error), fields(error)) == ("INVALID_FIELD", [field])


def test_log_lines_never_hold_a_prompt(world, capfd):
    world.create(prompt="xyzzy in a cave", request_id="r")
    refused(world, prompt="xyzzy again", width=4096)
    refused(world, prompt="xyzzy other", request_id="r")
    world.stand_in.refusal = (grpc.StatusCode.FAILED_PRECONDITION, "no")
    world.first.submit_waiting()
    world.first.stub.SuggestPrompts(pb.SuggestPromptsRequest(text="xyzzy"), metadata=as_person(world.me), timeout=WAIT)

    printed = "".join(capfd.readouterr())

    assert "CreateTask" in printed
    assert "xyzzy" not in printed
