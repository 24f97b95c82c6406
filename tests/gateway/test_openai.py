"""OpenAI's paths, through its unmodified SDK, in front of stand-ins."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from grpc import StatusCode
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.generation.v1 import model_pb2, task_pb2
from imagegen.results.v1 import results_service_pb2 as results

from tests.gateway.builders import NOON, a_completed_task, a_model, a_picture, a_result, a_task
from tests.gateway.conftest import AUTHORIZATION
from tests.gateway.gateways import serving
from tests.gateway.neighbours import Refusal
from tests.identities import access_token

PATH = "/v1/images/generations"
ASKED = {"prompt": "a lighthouse", "model": "sdxl"}


@pytest.fixture(autouse=True)
def offered(behind) -> None:
    """There is a model that can paint."""
    behind.generation.answers["ListModels"] = generation.ListModelsResponse(models=[a_model(name="sdxl")])


@pytest.fixture
def sdk(origin, behind) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=access_token(), base_url=f"{origin}/v1") as client:
        yield client


@pytest.fixture
def painted(behind) -> list:
    """Every task is completed at once, with two pictures: what was laid down of them."""
    task = a_completed_task()
    pictures = [a_result(task_id=task.id, index=index) for index in range(2)]
    behind.generation.answers["CreateTask"] = generation.CreateTaskResponse(task=a_task(id=task.id))
    behind.generation.answers["WatchTask"] = [
        generation.WatchTaskResponse(snapshot=a_task(id=task.id)),
        generation.WatchTaskResponse(progress=task_pb2.Progress(step=1, steps=2)),
        generation.WatchTaskResponse(status=task),
    ]
    behind.results.answers["ListResults"] = results.ListResultsResponse(results=pictures)
    behind.results.answers["DownloadResult"] = lambda message, _: [
        results.DownloadResultResponse(picture=a_picture()),
        results.DownloadResultResponse(chunk=b"PNG of "),
        results.DownloadResultResponse(chunk=message.result_id.encode()),
    ]
    return pictures


def all_created(behind) -> list[generation.CreateTaskRequest]:
    return [asked.message for asked in behind.generation.asked if asked.method == "CreateTask"]


def created(behind) -> generation.CreateTaskRequest:
    return all_created(behind)[0]


def test_pictures_come_as_links_once_the_task_has_ended(sdk, behind, painted, origin):
    answer = sdk.images.generate(**ASKED)
    assert answer.created == NOON.seconds
    assert [image.b64_json for image in answer.data] == [None, None]
    for image, picture in zip(answer.data, painted, strict=True):
        assert image.url.startswith(f"{origin}/api/v1/results/{picture.id}/image?expires=")
    assert created(behind) == generation.CreateTaskRequest(**ASKED)
    assert {asked.metadata["authorization"] for asked in behind.generation.asked} == {f"Bearer {sdk.api_key}"}


def test_pictures_come_in_base64(sdk, painted):
    answer = sdk.images.generate(**ASKED, response_format="b64_json")
    told = [base64.b64decode(image.b64_json).decode() for image in answer.data]
    assert told == [f"PNG of {picture.id}" for picture in painted]
    assert [image.url for image in answer.data] == [None, None]


def test_every_parameter_reaches_generation(sdk, behind, painted):
    sdk.images.generate(
        **ASKED,
        n=3,
        size="640x512",
        quality="hd",
        style="vivid",
        moderation="low",
        user="lin",
        background="auto",
        output_format="png",
        stream=False,
        extra_body={"negative_prompt": "blurry", "seed": 7, "steps": 9, "cfg": 4.5},
        extra_headers={"Idempotency-Key": "k-1"},
    )
    assert created(behind) == generation.CreateTaskRequest(
        **ASKED,
        request_id="k-1",
        count=3,
        width=640,
        height=512,
        negative_prompt="blurry",
        seed=7,
        steps=9,
        cfg=4.5,
    )


def test_a_size_of_auto_is_the_models(sdk, behind, painted):
    sdk.images.generate(**ASKED, size="auto")
    assert created(behind) == generation.CreateTaskRequest(**ASKED)


def test_without_a_model_the_first_that_can_paint_is_taken(sdk, behind, painted):
    behind.generation.answers["ListModels"] = generation.ListModelsResponse(
        models=[a_model(name="off", is_active=False), a_model(name="on")]
    )
    sdk.images.generate(prompt="a lighthouse")
    assert created(behind).model == "on"


def test_without_any_model_the_request_is_refused(sdk, behind):
    behind.generation.answers["ListModels"] = generation.ListModelsResponse()
    with pytest.raises(openai.ConflictError) as refusal:
        sdk.images.generate(prompt="a lighthouse")
    assert refusal.value.code == "model_unavailable"


BAD = {
    "no prompt": ({"prompt": None}, "prompt"),
    "a size that is none": ({"size": "large"}, "size"),
    "a stream": ({"stream": True}, "stream"),
    "another format": ({"output_format": "webp"}, "output_format"),
    "a transparent background": ({"background": "transparent"}, "background"),
    "compression": ({"output_compression": 50}, "output_compression"),
    "partial images": ({"partial_images": 2}, "partial_images"),
    "another response": ({"response_format": "file"}, "response_format"),
    "text for a number": ({"n": "2"}, "n"),
    "an unknown field": ({"sampler": "euler"}, "sampler"),
}


@pytest.mark.parametrize(("change", "param"), BAD.values(), ids=BAD)
def test_what_cannot_be_honoured_is_refused_by_name(client, behind, change, param):
    response = client.post(PATH, json={**ASKED, **change})
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (400, "invalid_request_error", "invalid_field")
    assert error["param"] == param
    assert error["message"].startswith(f"{param}: ")
    assert behind.generation.asked == []


@pytest.mark.parametrize(("field", "param"), [("count", "n"), ("width", "size"), ("height", "size"), ("cfg", "cfg")])
def test_what_generation_refuses_has_openais_name(sdk, behind, field, param):
    behind.generation.answers["CreateTask"] = Refusal(
        StatusCode.INVALID_ARGUMENT, "PARAMETER_OUT_OF_RANGE", fields=[(field, "must be at most 4")]
    )
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk.images.generate(**ASKED, n=10)
    assert (refusal.value.code, refusal.value.param) == ("parameter_out_of_range", param)
    assert refusal.value.body["message"] == f"{param}: must be at most 4"


@pytest.mark.parametrize(
    "row",
    [
        (StatusCode.INVALID_ARGUMENT, "MODEL_UNKNOWN", openai.BadRequestError, "invalid_request_error"),
        (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", openai.AuthenticationError, "authentication_error"),
        (StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", openai.PermissionDeniedError, "permission_error"),
        (StatusCode.NOT_FOUND, "TASK_NOT_FOUND", openai.NotFoundError, "invalid_request_error"),
        (StatusCode.FAILED_PRECONDITION, "MODEL_UNAVAILABLE", openai.ConflictError, "invalid_request_error"),
        (StatusCode.RESOURCE_EXHAUSTED, "USER_QUEUE_FULL", openai.RateLimitError, "rate_limit_error"),
        (StatusCode.INTERNAL, "", openai.InternalServerError, "server_error"),
        (StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", openai.InternalServerError, "server_error"),
    ],
)
def test_a_refusal_raises_what_the_sdk_has_for_it(sdk, behind, row):
    code, reason, raised, kind = row
    behind.generation.answers["CreateTask"] = Refusal(code, reason, message="the reason in words")
    with pytest.raises(raised) as refusal:
        sdk.with_options(max_retries=0).images.generate(**ASKED, extra_headers={"X-Request-Id": "traced-1"})
    assert refusal.value.request_id == "traced-1"
    assert (refusal.value.code, refusal.value.type) == (reason.lower() or "internal", kind)
    assert refusal.value.body["message"] == "the reason in words" or not reason


@pytest.mark.parametrize(
    ("code", "asked"), [(StatusCode.INTERNAL, 1), (StatusCode.FAILED_PRECONDITION, 1), (StatusCode.UNAVAILABLE, 2)]
)
def test_the_sdk_repeats_only_what_was_not_accepted(sdk, behind, code, asked):
    behind.generation.answers["CreateTask"] = Refusal(code, "MODEL_UNAVAILABLE")
    with pytest.raises(openai.APIStatusError):
        sdk.with_options(max_retries=1).images.generate(**ASKED)
    assert len(all_created(behind)) == asked


def test_who_may_not_look_at_what_was_painted_is_refused_before_anything_is_asked_for(sdk, behind, painted):
    behind.generation.answers["ListModels"] = Refusal(StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    with pytest.raises(openai.PermissionDeniedError) as refusal:
        sdk.images.generate(**ASKED)
    assert refusal.value.code == "scope_missing"
    assert all_created(behind) == []


@pytest.mark.parametrize(("is_repeat", "told"), [(True, "true"), (False, None)])
def test_a_repeat_is_marked_as_one(sdk, behind, painted, is_repeat, told):
    behind.generation.answers["CreateTask"].replayed = is_repeat
    answer = sdk.images.with_raw_response.generate(**ASKED, extra_headers={"Idempotency-Key": "k-1"})
    assert answer.headers.get("idempotent-replayed") == told


def test_a_repeat_of_what_has_failed_is_marked_as_one(sdk, behind, painted):
    behind.generation.answers["CreateTask"].replayed = True
    ending(behind, state=task_pb2.TASK_STATE_FAILED, failure=task_pb2.Failure(message="The GPU is too small."))
    with pytest.raises(openai.InternalServerError) as failed:
        sdk.images.generate(**ASKED, extra_headers={"Idempotency-Key": "k-1"})
    assert failed.value.response.headers["idempotent-replayed"] == "true"


def ending(behind, **task) -> None:
    behind.generation.answers["WatchTask"] = [generation.WatchTaskResponse(status=a_task(**task))]


def test_a_failed_task_is_an_error_with_its_reason_and_is_not_asked_for_again(sdk, behind, painted):
    failure = task_pb2.Failure(reason=task_pb2.FAILURE_REASON_OUT_OF_MEMORY, message="The GPU is too small.")
    ending(behind, state=task_pb2.TASK_STATE_FAILED, failure=failure)
    with pytest.raises(openai.InternalServerError) as failed:
        sdk.images.generate(**ASKED)
    assert (failed.value.status_code, failed.value.code) == (500, "out_of_memory")
    assert failed.value.body["message"] == "The GPU is too small."
    assert len(all_created(behind)) == 1


def test_a_canceled_task_is_a_conflict_and_is_not_asked_for_again(sdk, behind, painted):
    ending(behind, state=task_pb2.TASK_STATE_CANCELED)
    with pytest.raises(openai.ConflictError) as canceled:
        sdk.images.generate(**ASKED)
    assert canceled.value.code == "canceled"
    assert len(all_created(behind)) == 1


def test_services_that_go_away_meanwhile_are_waited_for(sdk, behind, painted):
    told = behind.generation.answers["WatchTask"]
    listed = behind.results.answers["ListResults"]
    away = Refusal(StatusCode.UNAVAILABLE)

    def one_after_the_other(*answers):
        left = list(answers)
        return lambda *_: left.pop(0)

    behind.generation.answers["WatchTask"] = one_after_the_other(away, told[:1], told)
    behind.results.answers["ListResults"] = one_after_the_other(away, listed)
    assert len(sdk.images.generate(**ASKED).data) == 2
    assert len(all_created(behind)) == 1


def test_a_task_that_may_no_longer_be_watched_says_why(sdk, behind, painted):
    behind.generation.answers["WatchTask"] = Refusal(StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")
    with pytest.raises(openai.AuthenticationError) as refusal:
        sdk.images.generate(**ASKED)
    assert refusal.value.code == "token_revoked"


def test_a_client_that_leaves_ends_the_watch_and_not_the_task(sdk, behind, painted, script):
    with pytest.raises(openai.APITimeoutError):
        sdk.with_options(max_retries=0, timeout=0.3).images.generate(**ASKED)
    assert script.began.wait(10)
    assert script.ended.wait(10)
    assert "CancelTask" not in [asked.method for asked in behind.generation.asked]


@pytest.mark.parametrize(("key", "advice"), [({}, "false"), ({"Idempotency-Key": "k-1"}, "true")])
def test_a_gateway_that_stops_advises_a_repeat_only_with_a_key(served, painted, script, key, advice):
    with ThreadPoolExecutor(1) as threads, httpx.Client(headers={**AUTHORIZATION, **key}, timeout=20) as client:
        with serving(served[1]) as gateway:
            asked = threads.submit(client.post, gateway.origin + PATH, json=ASKED)
            assert script.began.wait(10)
        response = asked.result(10)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
    assert response.headers["x-should-retry"] == advice


def test_models_are_those_that_can_paint(sdk, behind):
    behind.generation.answers["ListModels"] = generation.ListModelsResponse(
        models=[
            a_model(name="here"),
            a_model(name="off", is_active=False),
            a_model(name="away", availability=model_pb2.MODEL_AVAILABILITY_UNAVAILABLE),
            a_model(name="cold", availability=model_pb2.MODEL_AVAILABILITY_COLD),
        ]
    )
    assert [(model.id, model.object, model.owned_by) for model in sdk.models.list()] == [
        ("here", "model", "imagegen"),
        ("cold", "model", "imagegen"),
    ]
    assert sdk.models.retrieve("cold").id == "cold"
    for name in ("off", "nope"):
        with pytest.raises(openai.NotFoundError) as missing:
            sdk.models.retrieve(name)
        assert missing.value.code == "model_unknown"


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b" " * (1024 * 1024 + 1), "application/json", 413, "content_too_large"),
    ],
)
def test_a_body_that_is_none_gets_openais_shape(client, content, media_type, status, code):
    response = client.post(PATH, content=content, headers={"Content-Type": media_type})
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"].keys() == {"message", "type", "param", "code"}
    assert response.json()["error"]["code"] == code


def test_an_unknown_path_gets_openais_shape(client):
    response = client.get("/v1/images/edits")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
