"""One list of scenarios, through REST, gRPC and gRPC-web (binary and text): the same code, the same fields named, the
same content.

A deadline that a client sets with its call is gRPC's own and has no twin in REST: there the gateway's holds, which
tests/gateway/test_problems.py shows to become 504 as the table has it.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import grpc
import jwt
import pytest
from cryptography.fernet import Fernet, MultiFernet
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from imagegen.auth.v1 import auth_service_pb2
from imagegen.generation.v1 import generation_service_pb2, model_pb2, task_pb2
from imagegen.results.v1 import results_service_pb2
from imagegen.runtime.v1 import access_pb2

from gateway.errors import HTTP_STATUS
from services.auth.domain import Grant, Role, UserId
from services.auth.signing import SigningKeys
from services.runtime.database import Database
from services.runtime.protos import from_enum, from_timestamp
from tests.doors import grpc_web
from tests.installation import Installation
from tests.people import Person

RECIPE = {"prompt": "海边的灯塔", "model": "sd15", "width": 64, "height": 64, "steps": 2, "cfg": 6.5, "seed": 7}
CONTRACTS = {
    "AuthService": auth_service_pb2,
    "GenerationService": generation_service_pb2,
    "ResultsService": results_service_pb2,
}

REST = {
    "GetMe": ("GET", "/api/v1/auth/me"),
    "CreateTask": ("POST", "/api/v1/generation/generate"),
    "GetTask": ("GET", "/api/v1/generation/tasks/{task_id}"),
    "CancelTask": ("POST", "/api/v1/generation/tasks/{task_id}/cancel"),
    "ListTasks": ("GET", "/api/v1/generation/history"),
    "ListModels": ("GET", "/api/v1/models"),
    "SuggestPrompts": ("GET", "/api/v1/generation/suggestions"),
    "GetResult": ("GET", "/api/v1/results/{result_id}"),
    "DeleteResult": ("DELETE", "/api/v1/results/{result_id}"),
}
PARAMETERS = {"page_token": "cursor", "page_size": "limit", "text": "q"}
"""Fields that REST's queries call otherwise."""


@dataclass(frozen=True)
class Told:
    """What a door answered, in the contracts' words. `content` is what REST's JSON would be."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = ""
    wrong: dict[str, str] = field(default_factory=dict)
    """Of each field that is wrong, what is."""
    content: Any = None


# The doors


def by_rest(world: "World", method: str, request: dict[str, Any], token: str) -> Told:
    verb, path = REST[method]
    named = {name: request[name] for name in request if f"{{{name}}}" in path}
    others = {name: value for name, value in request.items() if name not in named}
    headers = {"authorization": f"Bearer {token}"} if token else {}
    if "request_id" in others:
        headers["idempotency-key"] = others.pop("request_id")
    body: dict[str, Any] = {"json": others} if verb == "POST" and others else {}
    if verb == "GET":
        body = {"params": {PARAMETERS.get(name, name): value for name, value in others.items()}}
    response = world.http.request(verb, path.format(**named), headers=headers, **body)
    if response.is_success:
        return Told(grpc.StatusCode.OK, content=response.json() if response.content else {})
    problem = response.json()
    assert problem["status"] == response.status_code
    assert response.headers["content-type"] == "application/problem+json"
    contract = {shown: name for name, shown in PARAMETERS.items()} | {"Idempotency-Key": "request_id"}
    wrong = {
        error.get("parameter") or error.get("header") or error["pointer"].removeprefix("#/"): error["detail"]
        for error in problem["errors"]
    }
    return Told(
        _code_of(response.status_code, problem["code"]),
        problem["code"].upper(),
        problem["detail"],
        {contract.get(name, name): text for name, text in wrong.items()},
    )


def _code_of(status: int, code: str) -> grpc.StatusCode:
    """Several codes share a status; the one that the scenario expects is told apart by the reason."""
    return next(
        known for known, (shown, _) in HTTP_STATUS.items() if shown == status and known in REASONS[code.upper()]
    )


def by_grpc(world: "World", method: str, request: dict[str, Any], token: str) -> Told:
    path, message, answer = _contract(method, request)
    call = world.channel.unary_unary(path, type(message).SerializeToString, answer.FromString)
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    try:
        return Told(grpc.StatusCode.OK, content=as_json(call(message, metadata=metadata, timeout=20)))
    except grpc.RpcError as error:
        return _refused(error.code(), rpc_status.from_call(error))


def by_grpc_web(world: "World", method: str, request: dict[str, Any], token: str, *, text: bool = False) -> Told:
    path, message, answer = _contract(method, request)
    try:
        told = grpc_web.call(world.http, path, message, answer, token=token, text=text)
        return Told(grpc.StatusCode.OK, content=as_json(told))
    except grpc_web.Failed as failed:
        return _refused(failed.code, failed.status)


def by_grpc_web_text(world: "World", method: str, request: dict[str, Any], token: str) -> Told:
    return by_grpc_web(world, method, request, token, text=True)


DOORS = (by_rest, by_grpc, by_grpc_web, by_grpc_web_text)


def _contract(method: str, request: dict[str, Any]) -> tuple[str, Any, type]:
    for service, module in CONTRACTS.items():
        described = module.DESCRIPTOR.services_by_name[service]
        if method in described.methods_by_name:
            path = f"/{described.full_name}/{method}"
            return path, getattr(module, f"{method}Request")(**request), getattr(module, f"{method}Response")
    raise AssertionError(method)


def _refused(code: grpc.StatusCode, status: Any) -> Told:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    wrong = {violation.field: violation.description for violation in bad.field_violations}
    return Told(code, info.reason, status.message, wrong)


# The contents


def as_json(message: Any) -> Any:
    """A contract's answer, in the words of REST, written down here once more."""
    shown = SHOWN.get(type(message).__name__)
    return shown(message) if shown else {}


def moment(timestamp: Any) -> str:
    return from_timestamp(timestamp).isoformat().replace("+00:00", "Z")


def user(one: Any) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in ("id", "username", "email")}
    return {**told, "role": from_enum(auth_service_pb2.Role, one.role), "created_at": moment(one.create_time)}


def task(one: Any) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in ("id", "prompt", "negative_prompt", "model", "width", "height")}
    told |= {name: getattr(one, name) for name in ("steps", "cfg", "seed", "count", "cancel_requested")}
    told |= {
        "status": from_enum(task_pb2.TaskState, one.state),
        "created_at": moment(one.create_time),
        "started_at": moment(one.start_time) if one.HasField("start_time") else None,
        "finished_at": moment(one.finish_time) if one.HasField("finish_time") else None,
    }
    return told


def model(one: Any) -> dict[str, Any]:
    def numbers(part: Any, *names: str) -> dict[str, Any]:
        return {name: getattr(part, name) for name in names}

    limits, defaults = one.limits, one.defaults
    return {
        "name": one.name,
        "display_names": numbers(one.display_name, "en", "zh"),
        "descriptions": numbers(one.description, "en", "zh"),
        "license": one.license,
        "is_active": one.is_active,
        "availability": from_enum(model_pb2.ModelAvailability, one.availability),
        "unavailable_reason": one.unavailable_reason or None,
        "limits": {
            **{
                name: numbers(getattr(limits, name), "min", "max")
                for name in ("width", "height", "steps", "cfg", "count")
            },
            **numbers(limits, "size_multiple", "max_pixels"),
        },
        "defaults": numbers(defaults, "width", "height", "steps", "cfg", "negative_prompt"),
        "negative_prompt_supported": one.negative_prompt_supported,
    }


def suggestion(one: Any) -> dict[str, Any]:
    return {"text": one.text, "source": from_enum(generation_service_pb2.Suggestion.Source, one.source)}


def result(one: Any) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in ("id", "task_id", "index", "width", "height", "size_bytes", "sha256")}
    return {**told, "media_type": one.media_type, "created_at": moment(one.create_time)}


SHOWN: dict[str, Callable[[Any], Any]] = {
    "GetMeResponse": lambda message: user(message.user),
    **dict.fromkeys(
        ("CreateTaskResponse", "GetTaskResponse", "CancelTaskResponse"), lambda message: task(message.task)
    ),
    "ListTasksResponse": lambda message: {
        "tasks": [task(one) for one in message.tasks],
        "next_cursor": message.next_page_token or None,
    },
    "ListModelsResponse": lambda message: {"models": [model(one) for one in message.models]},
    "SuggestPromptsResponse": lambda message: {"suggestions": [suggestion(one) for one in message.suggestions]},
    "GetResultResponse": lambda message: result(message.result),
}


def shared(rest: Any, contract: Any, apart: frozenset[str]) -> Any:
    """What of REST's JSON the contract's answer has too. What REST alone has it composes (links, results) or words
    for a person (`display_name` in one language); `apart` is what each door's own call makes anew.
    """
    if isinstance(contract, dict):
        assert contract.keys() <= rest.keys() | apart
        return {name: shared(rest[name], value, apart) for name, value in contract.items() if name not in apart}
    if isinstance(contract, list):
        assert len(rest) == len(contract)
        return [shared(one, other, apart) for one, other in zip(rest, contract, strict=True)]
    return rest


def without(content: Any, apart: frozenset[str]) -> Any:
    if isinstance(content, dict):
        return {name: without(value, apart) for name, value in content.items() if name not in apart}
    return [without(one, apart) for one in content] if isinstance(content, list) else content


# The world


class World:
    """Two people, what they have made, and every token that is no good any more."""

    def __init__(self, installation: Installation, channel: grpc.Channel) -> None:
        self.installation = installation
        self.channel = channel
        self.http = installation.client()
        self.person, self.other = Person(installation), Person(installation)
        self.request_id = str(uuid4())
        headers = {"Idempotency-Key": self.request_id}
        done = self.person.http.post("/api/v1/generation/generate", json={**RECIPE, "count": 4}, headers=headers)
        self.finished = self.person.ended(done.raise_for_status().json()["id"])
        self.results = [one["id"] for one in self.finished["results"]]
        canceled = self.person.generate(**{**RECIPE, "width": 512, "height": 512, "steps": 90})
        self.person.http.post(canceled["links"]["cancel"]).raise_for_status()
        self.canceled = self.person.ended(canceled["id"])["id"]
        self.doomed = iter(self.results)
        for _ in range(2):
            self.other.ended(self.other.generate(**RECIPE)["id"])

    @property
    def token(self) -> str:
        return self.person.tokens["access_token"]

    @property
    def misspelt(self) -> str:
        head, claims, signature = self.token.split(".")
        return f"{head}.{claims}.{signature[::-1]}"

    @cached_property
    def expired(self) -> str:
        """As auth would have signed it two hours ago."""
        claims = jwt.decode(self.token, options={"verify_signature": False})
        then = datetime.now(UTC) - timedelta(hours=2)
        secret = json.loads((self.installation.data / "secrets.json").read_text())["auth_encryption_key"]
        with closing(Database(self.installation.database_url("auth"), connections=1)) as database:
            keys = SigningKeys(database, MultiFernet([Fernet(secret)]), lambda: then)
            grant = Grant(UserId(UUID(claims["sub"])), UUID(claims["sid"]), Role.USER, then + timedelta(minutes=10))
            with database.transaction() as tx:
                return keys.access_token(tx, grant, then)

    @cached_property
    def revoked(self) -> str:
        """Of a session that was ended; every service has heard of it."""
        gone = Person(self.installation)
        with closing(gone.http) as http:
            http.post("/api/v1/auth/logout").raise_for_status()
            until = time.monotonic() + 10
            for path in ("/api/v1/auth/me", "/api/v1/generation/history", f"/api/v1/results/{uuid4()}"):
                while http.get(path).status_code != 401:
                    assert time.monotonic() < until, "nobody has heard of the logout"
                    time.sleep(0.05)
        return gone.tokens["access_token"]

    @cached_property
    def reading_key(self) -> str:
        """An API key that may read and nothing else."""
        create = self.channel.unary_unary(
            "/imagegen.auth.v1.AuthService/CreateApiKey",
            auth_service_pb2.CreateApiKeyRequest.SerializeToString,
            auth_service_pb2.CreateApiKeyResponse.FromString,
        )
        request = auth_service_pb2.CreateApiKeyRequest(name="reads", scopes=[access_pb2.SCOPE_READ])
        return create(request, metadata=(("authorization", f"Bearer {self.token}"),), timeout=20).secret

    def running(self) -> str:
        """A new task that is not over soon."""
        return self.person.generate(**{**RECIPE, "width": 512, "height": 512, "steps": 90})["id"]


@pytest.fixture(scope="module")
def world(installation) -> Iterator[World]:
    with grpc.insecure_channel(installation.url.removeprefix("http://")) as channel:
        world = World(installation, channel)
        yield world
        for http in (world.http, world.person.http, world.other.http):
            http.close()


# The scenarios

Request = Callable[[World], dict[str, Any]]


@dataclass(frozen=True)
class Scenario:
    """`request` and `token` are asked anew for each door."""

    method: str
    request: Request
    code: grpc.StatusCode = grpc.StatusCode.OK
    reason: str = ""
    fields: frozenset[str] = frozenset()
    token: Callable[[World], str] = field(default=lambda world: world.token)
    apart: frozenset[str] = frozenset()


def made(**changes: Any) -> Request:
    return lambda _: {**RECIPE, **changes}


def nothing(_: World) -> dict[str, Any]:
    return {}


def a_task(pick: Callable[[World], str]) -> Request:
    return lambda world: {"task_id": pick(world)}


def a_result(pick: Callable[[World], str]) -> Request:
    return lambda world: {"result_id": pick(world)}


OWN = frozenset({"id", "created_at", "started_at", "status", "cancel_requested", "finished_at"})
"""Of a task that each door makes for itself."""

INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
UNKNOWN_CALLER, FORBIDDEN = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
FINISHED = grpc.StatusCode.FAILED_PRECONDITION


def nobody(_: World) -> str:
    return str(UUID(int=0))


def others(world: World) -> str:
    return world.other.tokens["access_token"]


def wrong(reason: str, *fields: str, **changes: Any) -> Scenario:
    return Scenario("CreateTask", made(**changes), INVALID, reason, frozenset(fields))


SCENARIOS = {
    "the caller's account": Scenario("GetMe", nothing),
    "the caller's account by an API key": Scenario("GetMe", nothing, token=lambda world: world.reading_key),
    "the models": Scenario("ListModels", nothing),
    "the models for anybody": Scenario("ListModels", nothing, token=lambda _: ""),
    "a task is accepted": Scenario("CreateTask", made(), apart=OWN),
    "a repeat is the first one's task": Scenario(
        "CreateTask", lambda w: {**RECIPE, "count": 4, "request_id": w.request_id}
    ),
    "a finished task": Scenario("GetTask", a_task(lambda w: w.finished["id"])),
    "a canceled task": Scenario("GetTask", a_task(lambda w: w.canceled)),
    "a task is canceled": Scenario("CancelTask", a_task(World.running), apart=OWN),
    "a canceled task is canceled again": Scenario("CancelTask", a_task(lambda w: w.canceled)),
    "the first page of a history": Scenario("ListTasks", lambda _: {"page_size": 1}, token=others),
    "a history": Scenario("ListTasks", nothing, token=others),
    "suggestions": Scenario("SuggestPrompts", lambda _: {"text": "a light", "page_size": 3}),
    "a picture": Scenario("GetResult", a_result(lambda w: w.results[-1])),
    "a picture by an API key": Scenario(
        "GetResult", a_result(lambda w: w.results[-1]), token=lambda world: world.reading_key
    ),
    "no such task": Scenario("GetTask", a_task(nobody), MISSING, "TASK_NOT_FOUND"),
    "no such task to cancel": Scenario("CancelTask", a_task(nobody), MISSING, "TASK_NOT_FOUND"),
    "no such picture": Scenario("GetResult", a_result(nobody), MISSING, "RESULT_NOT_FOUND"),
    "no such picture to delete": Scenario("DeleteResult", a_result(nobody), MISSING, "RESULT_NOT_FOUND"),
    "another's task": Scenario("GetTask", a_task(lambda w: w.finished["id"]), MISSING, "TASK_NOT_FOUND", token=others),
    "another's task to cancel": Scenario(
        "CancelTask", a_task(lambda w: w.finished["id"]), MISSING, "TASK_NOT_FOUND", token=others
    ),
    "another's picture": Scenario(
        "GetResult", a_result(lambda w: w.results[-1]), MISSING, "RESULT_NOT_FOUND", token=others
    ),
    "another's picture to delete": Scenario(
        "DeleteResult", a_result(lambda w: w.results[-1]), MISSING, "RESULT_NOT_FOUND", token=others
    ),
    "no prompt": wrong("INVALID_FIELD", "prompt", prompt=""),
    "a blank prompt": wrong("INVALID_FIELD", "prompt", prompt=" 　"),
    "a long prompt": wrong("INVALID_FIELD", "prompt", prompt="x" * 2001),
    "several fields": wrong("INVALID_FIELD", "prompt", "steps", "count", prompt="a\0b", steps=0, count=5),
    "a negative seed": wrong("INVALID_FIELD", "seed", seed=-1),
    "an unknown model": wrong("MODEL_UNKNOWN", "model", model="nope"),
    "an odd width": wrong("PARAMETER_OUT_OF_RANGE", "width", width=65),
    "too many steps": wrong("PARAMETER_OUT_OF_RANGE", "steps", steps=100_000),
    "a request id for another request": Scenario(
        "CreateTask",
        lambda w: {**RECIPE, "prompt": "a fox", "request_id": w.request_id},
        INVALID,
        "REQUEST_ID_REUSED",
        frozenset({"request_id"}),
    ),
    "a cursor that is none": Scenario(
        "ListTasks", lambda _: {"page_token": "rubbish"}, INVALID, "INVALID_CURSOR", frozenset({"page_token"})
    ),
    "a finished task cannot be canceled": Scenario(
        "CancelTask", a_task(lambda w: w.finished["id"]), FINISHED, "TASK_FINISHED"
    ),
    "no token": Scenario("GetMe", nothing, UNKNOWN_CALLER, "TOKEN_MISSING", token=lambda _: ""),
    "a token that is none": Scenario("GetMe", nothing, UNKNOWN_CALLER, "TOKEN_INVALID", token=lambda _: "rubbish"),
    "a key that is none": Scenario(
        "ListTasks", nothing, UNKNOWN_CALLER, "TOKEN_INVALID", token=lambda _: "igk_rubbish"
    ),
    "a token signed by nobody": Scenario(
        "ListTasks", nothing, UNKNOWN_CALLER, "TOKEN_INVALID", token=lambda w: w.misspelt
    ),
    "an expired token": Scenario("ListTasks", nothing, UNKNOWN_CALLER, "TOKEN_EXPIRED", token=lambda w: w.expired),
    "an expired token for what is anybody's": Scenario(
        "ListModels", nothing, UNKNOWN_CALLER, "TOKEN_EXPIRED", token=lambda w: w.expired
    ),
    "a token of a session that was ended": Scenario(
        "GetMe", nothing, UNKNOWN_CALLER, "TOKEN_REVOKED", token=lambda w: w.revoked
    ),
    "the same for a picture": Scenario(
        "GetResult", a_result(nobody), UNKNOWN_CALLER, "TOKEN_REVOKED", token=lambda w: w.revoked
    ),
    "a key that may only read": Scenario(
        "CreateTask", made(), FORBIDDEN, "SCOPE_MISSING", token=lambda world: world.reading_key
    ),
    "a picture is deleted": Scenario("DeleteResult", a_result(lambda w: next(w.doomed))),
}

REASONS: dict[str, set[grpc.StatusCode]] = {}
for _scenario in SCENARIOS.values():
    REASONS.setdefault(_scenario.reason, set()).add(_scenario.code)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_every_door_gives_the_same_answer(world, scenario):
    answers = {
        door.__name__: door(world, scenario.method, scenario.request(world), scenario.token(world)) for door in DOORS
    }
    for told in answers.values():
        assert (told.code, told.reason, told.wrong.keys()) == (scenario.code, scenario.reason, scenario.fields), answers
    rest, *contracts = answers.values()
    for told in contracts:
        assert (told.message, told.wrong) == (rest.message, rest.wrong)
        if scenario.code is grpc.StatusCode.OK:
            assert shared(rest.content, told.content, scenario.apart) == without(told.content, scenario.apart)


def test_a_deadline_that_passes_is_told_alike_by_grpc_and_grpc_web(world):
    path, message, answer = _contract("GetMe", {})
    call = world.channel.unary_unary(path, type(message).SerializeToString, answer.FromString)
    metadata = (("authorization", f"Bearer {world.token}"),)
    with pytest.raises(grpc.RpcError) as late:
        call(message, metadata=metadata, timeout=0.000_001)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    headers = {"content-type": "application/grpc-web+proto", "grpc-timeout": "1n", "authorization": metadata[0][1]}
    # A server that is quick may win against a nanosecond now and then.
    answers = (world.http.post(path, content=b"\0\0\0\0\0", headers=headers) for _ in range(20))
    assert "4" in (answer.headers.get("grpc-status") for answer in answers)
