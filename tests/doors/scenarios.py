"""What is asked at every door, and the code, the reason and the fields that each must answer with."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID, uuid4

import grpc
import jwt
from cryptography.fernet import Fernet, MultiFernet
from imagegen.auth.v1 import auth_service_pb2
from imagegen.runtime.v1 import access_pb2

from services.auth.domain import Grant, Role, UserId
from services.auth.signing import SigningKeys
from services.runtime.database import Database
from tests.installation import Installation
from tests.people import Person

RECIPE = {"prompt": "海边的灯塔", "model": "sd15", "width": 64, "height": 64, "steps": 2, "cfg": 6.5, "seed": 7}


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
