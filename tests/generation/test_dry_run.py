"""`validate_only`: what a call would come to, and what it would cost, without making anything."""

from datetime import timedelta
from uuid import uuid4

import grpc
import pytest
from imagegen.executor.v1 import executor_service_pb2, model_pb2
from imagegen.generation.v1 import task_pb2

from services.runtime.protos import to_timestamp
from tests.generation.builders import NOW, a_model_message
from tests.generation.conftest import CAP, WAIT, state_of
from tests.grpc_errors import fields, reason, retry_seconds


def refused(world, **asked: object) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        world.created(validate_only=True, **asked)
    return caught.value


def test_it_answers_the_task_with_everything_filled_in_and_what_it_would_cost(world):
    p50, p90 = to_timestamp(NOW), to_timestamp(NOW + timedelta(seconds=9))
    world.stand_in.estimate = executor_service_pb2.EstimateJobResponse(gpu_seconds=7.5, p50_time=p50, p90_time=p90)

    answer = world.created(validate_only=True, prompt="a lighthouse", seed=5, steps=3)

    task = answer.task
    assert (state_of(task), task.model, task.prompt, task.seed, task.steps) == ("pending", "sd15", "a lighthouse", 5, 3)
    assert (task.width, task.height, task.cfg, task.count, task.negative_prompt) == (512, 768, 8.0, 1, "blurry")
    assert (task.id, task.HasField("create_time"), answer.replayed) == ("", False, False)
    assert answer.estimate.gpu_seconds == 7.5
    assert answer.estimate.eta == task_pb2.Eta(p50_time=p50, p90_time=p90)


def test_the_executor_is_asked_for_exactly_that(world):
    task = world.created(validate_only=True, count=2).task

    request = world.stand_in.estimated.get(timeout=WAIT)

    assert (request.owner_id, request.model) == (str(world.me), "sd15")
    for field in ("prompt", "negative_prompt", "width", "height", "steps", "cfg", "seed", "count"):
        assert getattr(request.spec, field) == getattr(task, field)


def test_what_no_worker_can_paint_now_has_a_cost_and_no_end(world):
    assert not world.created(validate_only=True).estimate.HasField("eta")


def test_a_seed_that_would_be_drawn_is_not_drawn(world):
    assert {world.created(validate_only=True).task.seed for _ in range(3)} == {0}


def test_nothing_is_made_and_the_request_id_stays_free(world):
    world.created(validate_only=True, request_id="r", prompt="a tower")
    world.first.submit_waiting()

    assert world.listed().tasks == []
    assert world.stand_in.jobs == {}
    assert not world.created(request_id="r").replayed
    assert not world.created(validate_only=True, request_id="r", prompt="a tower").task.id


def test_a_real_call_has_no_estimate(world):
    assert not world.created().HasField("estimate")


def test_it_is_refused_as_the_real_call_would_be(world):
    wrong = {"width": 4096, "steps": 101}
    with pytest.raises(grpc.RpcError) as real:
        world.create(**wrong)
    dry = refused(world, **wrong)
    assert (dry.code(), reason(dry), fields(dry)) == (real.value.code(), reason(real.value), fields(real.value))

    assert reason(refused(world, model="sd99")) == "MODEL_UNKNOWN"
    assert reason(refused(world, prompt="")) == "INVALID_FIELD"
    world.sql("UPDATE models SET is_active = false")
    assert reason(refused(world)) == "MODEL_UNAVAILABLE"
    assert "EstimateJob" not in world.stand_in.calls


def test_a_full_queue_refuses_it_too(world):
    for _ in range(CAP):
        world.create()

    error = refused(world)

    assert (error.code(), reason(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "USER_QUEUE_FULL")
    assert world.created(uuid4(), validate_only=True).estimate.gpu_seconds


def test_an_erased_owner_is_told_nothing(world):
    world.first.tasks.erase(world.me)

    assert reason(refused(world)) == "TOKEN_REVOKED"


def test_a_model_that_has_just_become_available_is_known_at_once(world):
    world.stand_in.models = [a_model_message("new", availability=model_pb2.MODEL_AVAILABILITY_UNAVAILABLE)]
    world.first.tasks.refresh_catalogue()
    world.stand_in.models = [a_model_message("new")]
    world.clock.advance(seconds=1)

    assert world.created(validate_only=True, model="new").estimate.gpu_seconds


@pytest.mark.parametrize("code", [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT])
def test_what_the_executor_would_refuse_is_refused_with_its_sentence(world, code):
    world.stand_in.refusal = (code, "no worker has its files")

    error = refused(world)

    assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_UNAVAILABLE")
    assert error.details() == "No worker has its files."


@pytest.mark.parametrize("trouble", ["away", "failing"])
def test_without_the_executor_there_is_no_estimate_and_a_retry_is_asked_for(world, trouble):
    if trouble == "away":
        world.stand_in.go()
    else:
        world.stand_in.failing = {"EstimateJob"}

    error = refused(world)

    assert (error.code(), reason(error)) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert retry_seconds(error) > 0
