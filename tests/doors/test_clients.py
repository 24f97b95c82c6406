"""The doors, through clients that others wrote, unmodified: each with a session's token and with an API key."""

import asyncio
import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import google.rpc
import grpc
import httpx
import openai
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.auth.v1 import auth_service_pb2_grpc
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.generation.v1 import generation_service_pb2_grpc, task_pb2
from imagegen.runtime.v1 import access_pb2
from PIL import Image

from tests.grpc_errors import fields, reason

PROJECT = Path(__file__).parents[2]
WEB = Path(__file__).parent / "web"
BUF = Path(sys.executable).with_name("buf")
RECIPE = {"prompt": "a lighthouse", "model": "sd15", "width": 64, "height": 64, "steps": 4}
SEEN = {**RECIPE, "width": 512, "height": 512, "steps": 20}
LONG = {**SEEN, "steps": 90}


def bearing(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


@pytest.fixture
def channel(installation) -> Iterator[grpc.Channel]:
    """To Envoy, as grpcio opens it."""
    with grpc.insecure_channel(installation.url.removeprefix("http://")) as channel:
        yield channel


@pytest.fixture
def api_key(channel, person) -> str:
    """The person's own, good for painting and reading."""
    request = auth.CreateApiKeyRequest(name="doors", scopes=[access_pb2.SCOPE_GENERATE, access_pb2.SCOPE_READ])
    stub = auth_service_pb2_grpc.AuthServiceStub(channel)
    return stub.CreateApiKey(request, metadata=bearing(person.tokens["access_token"]), timeout=20).secret


@pytest.fixture(params=["session", "API key"])
def token(request, person, api_key) -> str:
    return api_key if request.param == "API key" else person.tokens["access_token"]


# The openai SDK


@pytest.fixture
def sdk(installation, token) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=token, base_url=f"{installation.url}/v1", timeout=60) as client:
        yield client


def test_openai_paints_in_base64_and_the_tasks_are_in_the_history(sdk, person):
    answer = sdk.images.generate(
        model="sd15", prompt="a lighthouse", n=2, size="128x64", response_format="b64_json", extra_body={"steps": 2}
    )
    pictures = [Image.open(BytesIO(base64.b64decode(image.b64_json))) for image in answer.data]
    assert [(picture.format, picture.size) for picture in pictures] == [("PNG", (128, 64))] * 2
    (task,) = person.http.get("/api/v1/generation/history").json()["tasks"]
    assert (task["status"], task["count"], task["steps"]) == ("completed", 2, 2)


def test_openai_paints_into_links_that_open_without_a_key(sdk):
    answer = sdk.images.generate(
        model="sd15", prompt="a lighthouse", response_format="url", size="64x64", extra_body={"steps": 2}
    )
    (image,) = answer.data
    assert Image.open(BytesIO(httpx.get(image.url).raise_for_status().content)).size == (64, 64)


def test_openai_lists_the_models(sdk):
    assert "sd15" in [model.id for model in sdk.models.list()]
    assert sdk.models.retrieve("sd15").owned_by == "imagegen"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("nope")


def test_openai_raises_what_is_wrong(sdk):
    with pytest.raises(openai.BadRequestError) as unknown:
        sdk.images.generate(model="nope", prompt="a lighthouse")
    assert (unknown.value.code, unknown.value.param) == ("model_unknown", "model")
    with pytest.raises(openai.BadRequestError) as many:
        sdk.images.generate(model="sd15", prompt="a lighthouse", n=10)
    assert (many.value.code, many.value.param) == ("invalid_field", "n")
    with pytest.raises(openai.BadRequestError) as odd:
        sdk.images.generate(model="sd15", prompt="a lighthouse", size="65x64")
    assert (odd.value.code, odd.value.param) == ("parameter_out_of_range", "size")
    with pytest.raises(openai.AuthenticationError) as stranger:
        sdk.with_options(api_key="igk_nobody").images.generate(model="sd15", prompt="a lighthouse")
    assert stranger.value.code == "token_invalid"
    assert stranger.value.request_id


def test_openai_repeats_without_painting_anew_under_one_key(sdk, person):
    headers = {"Idempotency-Key": str(uuid4())}
    first, second = (
        sdk.images.generate(
            model="sd15",
            prompt="a fox",
            size="64x64",
            response_format="b64_json",
            extra_body={"steps": 2},
            extra_headers=headers,
        )
        for _ in range(2)
    )
    assert first == second
    assert len(person.http.get("/api/v1/generation/history").json()["tasks"]) == 1


def test_openai_paints_for_its_asynchronous_client_too(installation, api_key):
    async def paint() -> int:
        async with openai.AsyncOpenAI(api_key=api_key, base_url=f"{installation.url}/v1", timeout=60) as client:
            recipe = {"model": "sd15", "prompt": "a fox", "size": "64x64", "extra_body": {"steps": 2}}
            asked = [client.images.generate(**recipe) for _ in range(2)]
            return sum(len(answer.data) for answer in await asyncio.gather(*asked))

    assert asyncio.run(paint()) == 2


# grpcio


@pytest.fixture
def stub(channel) -> generation_service_pb2_grpc.GenerationServiceStub:
    return generation_service_pb2_grpc.GenerationServiceStub(channel)


def test_grpcio_paints_and_follows_to_the_end(stub, token):
    request = generation.CreateTaskRequest(**SEEN)
    task = stub.CreateTask(request, metadata=bearing(token), timeout=20).task
    events = list(stub.WatchTask(generation.WatchTaskRequest(task_id=task.id), metadata=bearing(token), timeout=60))
    assert events[0].HasField("snapshot")
    assert events[-1].status.state == task_pb2.TASK_STATE_COMPLETED
    assert "progress" in [event.WhichOneof("event") for event in events]


def test_grpcio_leaves_a_stream_and_the_task_goes_on(stub, person):
    metadata = bearing(person.tokens["access_token"])
    task = person.generate(**LONG)
    call = stub.WatchTask(generation.WatchTaskRequest(task_id=task["id"]), metadata=metadata)
    next(call)
    call.cancel()
    with pytest.raises(grpc.RpcError):
        next(call)
    assert call.code() is grpc.StatusCode.CANCELLED
    assert person.task(task["id"])["status"] in ("pending", "processing")
    stub.CancelTask(generation.CancelTaskRequest(task_id=task["id"]), metadata=metadata, timeout=20)


def test_grpcio_has_its_deadline_and_its_metadata_heeded(installation, stub, person):
    metadata = bearing(person.tokens["access_token"])
    task = person.generate(**LONG)
    request_id = f"traced-{uuid4()}"
    call = stub.WatchTask(
        generation.WatchTaskRequest(task_id=task["id"]), metadata=(*metadata, ("x-request-id", request_id)), timeout=0.5
    )
    with pytest.raises(grpc.RpcError) as late:
        list(call)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert dict(call.initial_metadata())["x-request-id"] == request_id
    stub.CancelTask(generation.CancelTaskRequest(task_id=task["id"]), metadata=metadata, timeout=20)


def test_grpcio_gets_an_errors_details(stub, token):
    wrong = generation.CreateTaskRequest(prompt=" ", model="sd15", width=-1)
    with pytest.raises(grpc.RpcError) as refusal:
        stub.CreateTask(wrong, metadata=bearing(token), timeout=20)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(refusal.value) == "INVALID_FIELD"
    assert set(fields(refusal.value)) == {"prompt", "width"}


# buf curl


def buf_curl(url: str, method: str, token: str, protocol: str, request: dict) -> subprocess.CompletedProcess[str]:
    command = [BUF, "curl", "--schema", "protos", "--protocol", protocol, "--data", json.dumps(request)]
    command += ["--header", f"authorization: Bearer {token}"]
    if protocol == "grpc":
        command.append("--http2-prior-knowledge")
    command.append(f"{url}/imagegen.{method}")
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("protocol", ["grpc", "grpcweb"])
def test_buf_curl_calls_and_is_told_what_is_wrong(installation, person, api_key, protocol):
    def call(method: str, token: str, request: dict) -> subprocess.CompletedProcess[str]:
        return buf_curl(installation.url, method, token, protocol, request)

    models = call("generation.v1.GenerationService/ListModels", api_key, {})
    assert "sd15" in [model["name"] for model in json.loads(models.stdout)["models"]], models.stderr
    for token in (person.tokens["access_token"], api_key):
        me = call("auth.v1.AuthService/GetMe", token, {})
        assert json.loads(me.stdout)["user"]["username"] == person.name, me.stderr
    wrong = call("generation.v1.GenerationService/CreateTask", api_key, {"prompt": " ", "model": "sd15"})
    assert wrong.returncode != 0
    told = json.loads(wrong.stderr)
    assert told["code"] == "invalid_argument"
    details = {detail["type"]: base64.b64decode(detail["value"] + "==") for detail in told["details"]}
    assert ErrorInfo.FromString(details["google.rpc.ErrorInfo"]).reason == "INVALID_FIELD"
    (violation,) = BadRequest.FromString(details["google.rpc.BadRequest"]).field_violations
    assert violation.field == "prompt"


# npm


@pytest.fixture(scope="module")
def web() -> Path:
    """The folder of the npm clients, with code generated from the contracts as they are now."""
    plugin = WEB / "node_modules" / ".bin" / "protoc-gen-es"
    if not (shutil.which("node") and plugin.exists()):
        pytest.skip(
            "NOT RUN: Node.js or the packages of tests/doors/web are not here; `make doors` brings the packages"
        )
    generated = WEB / "gen"
    shutil.rmtree(generated, ignore_errors=True)
    generated.mkdir()
    contracts = sorted(str(path.relative_to(PROJECT / "protos")) for path in PROJECT.glob("protos/imagegen/**/*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--plugin=protoc-gen-es={plugin}"]
    command += ["-Iprotos", "-Iprotos/vendor", f"-I{Path(next(iter(google.rpc.__path__))).parents[1]}"]
    command += ["--es_opt=target=js,import_extension=js", f"--es_out={generated}"]
    command += [*contracts, "buf/validate/validate.proto", "google/rpc/error_details.proto", "google/rpc/status.proto"]
    subprocess.run(command, cwd=PROJECT, check=True, timeout=60)
    return WEB


@pytest.mark.parametrize(
    ("script", "codes"),
    [
        ("connect.mjs", ["InvalidArgument", "NotFound", "Unauthenticated"]),
        ("grpc_web.mjs", ["INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED"]),
    ],
)
def test_an_npm_client_registers_paints_follows_and_reads_errors(installation, web, script, codes):
    name = f"npm-{uuid4().hex[:12]}"
    command = ["node", script, installation.url, name]
    run = subprocess.run(command, cwd=web, capture_output=True, text=True, timeout=90, check=False)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert (told["username"], told["me"]) == (name, name)
    for events in (told["bySession"], told["byKey"]):
        assert events[0]["kind"] == "snapshot"
        assert "progress" in [event["kind"] for event in events]
        assert (events[-1]["kind"], events[-1]["state"]) == ("status", "COMPLETED")
        assert events[-1]["at"] - events[0]["at"] > 100, "what took a second to paint came all at once"
    refused = [told["invalid"], told["missing"], told["anonymous"]]
    assert [refusal["code"] for refusal in refused] == codes
    assert [refusal["reason"] for refusal in refused] == ["INVALID_FIELD", "TASK_NOT_FOUND", "TOKEN_MISSING"]
    assert sorted(told["invalid"]["fields"]) == ["prompt", "width"]
