"""Somebody with an account on a running installation, as a careful client behaves.

What is done to the account itself goes through gRPC, what is done to tasks through REST: both through Envoy.
"""

import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import grpc
import httpx
import sqlalchemy as sa
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.auth.v1 import auth_service_pb2_grpc as auth_grpc
from imagegen.runtime.v1 import access_pb2

from services.runtime.protos import to_enum
from tests.installation import Installation

PICTURE = {"model": "sd15", "width": 64, "height": 64, "steps": 4}
FINAL = ("completed", "failed", "canceled")
CALL_SECONDS = 20.0


class Account:
    """Registered and signed in; `http` sends the access token of `tokens`."""

    def __init__(self, installation: Installation, role: str = "user") -> None:
        # Nobody has to close it: no connection outlives its request.
        self.http = httpx.Client(
            base_url=installation.url, timeout=20, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self._door = installation.url.removeprefix("http://")
        self.name = f"user-{uuid4().hex[:12]}"
        self.email = f"{self.name}@example.com"
        self.password = f"the password of {uuid4()}"
        body = {"username": self.name, "email": self.email, "password": self.password}
        self.id: str = self.http.post("/api/v1/auth/register", json=body).raise_for_status().json()["id"]
        self.tokens: dict[str, Any] = {}
        if role != "user":
            _give_role(installation, self.id, role)
        self.use(self.sign_in())

    @property
    def token(self) -> str:
        """The access token."""
        return str(self.tokens["access_token"])

    def sign_in(self) -> dict[str, Any]:
        """The tokens of one more session."""
        body = {"username": self.name, "password": self.password}
        headers = {"authorization": ""}
        return self.http.post("/api/v1/auth/login", json=body, headers=headers).raise_for_status().json()

    def use(self, tokens: dict[str, Any]) -> None:
        """Go on with the session that these are of."""
        self.tokens = tokens
        self.http.headers["authorization"] = f"Bearer {self.token}"

    def call(self, method: str, request: Any) -> Any:
        """AuthService, as the session in use. Raises grpc.RpcError."""
        with grpc.insecure_channel(self._door) as channel:
            stub = auth_grpc.AuthServiceStub(channel)
            metadata = (("authorization", f"Bearer {self.token}"),)
            return getattr(stub, method)(request, metadata=metadata, timeout=CALL_SECONDS)

    def api_key(self, scopes: Sequence[str]) -> auth.CreateApiKeyResponse:
        numbers = [to_enum(access_pb2.Scope, scope) for scope in scopes]
        return self.call("CreateApiKey", auth.CreateApiKeyRequest(name="a key", scopes=numbers))

    def revoke(self, api_key_id: str) -> None:
        self.call("RevokeApiKey", auth.RevokeApiKeyRequest(api_key_id=api_key_id))

    def sessions(self) -> Sequence[auth.Session]:
        return self.call("ListSessions", auth.ListSessionsRequest()).sessions

    def delete(self) -> None:
        self.call("DeleteMe", auth.DeleteMeRequest(password=self.password))

    def generate(self, prompt: str = "a lighthouse", **fields: object) -> dict[str, Any]:
        answer = self.http.post("/api/v1/generation/generate", json={"prompt": prompt, **PICTURE, **fields})
        assert answer.status_code == 202, answer.text
        return answer.json()

    def task(self, task_id: str) -> dict[str, Any]:
        return self.http.get(f"/api/v1/generation/tasks/{task_id}").raise_for_status().json()

    def painted(self, **fields: object) -> dict[str, Any]:
        """A task that has completed, with its pictures."""
        return self.until(self.generate(**fields)["id"], "completed")

    def until(self, task_id: str, *statuses: str, within: float = 60) -> dict[str, Any]:
        """Ask until it is in one of these states, a completed one with its pictures, whatever is down meanwhile."""
        deadline = time.monotonic() + within
        while True:
            try:
                task = self.task(task_id)
            except httpx.HTTPStatusError as error:
                assert error.response.status_code == 503, error.response.text
                assert time.monotonic() < deadline, error.response.text
                time.sleep(0.05)
                continue
            if task["status"] in statuses and not task["results_unavailable"]:
                return task
            assert task["status"] not in FINAL or task["results_unavailable"], task
            assert time.monotonic() < deadline, task
            time.sleep(0.05)


def _give_role(installation: Installation, user_id: str, role: str) -> None:
    engine = sa.create_engine(installation.database_url("auth"))
    with engine.begin() as tx:
        tx.execute(sa.text("UPDATE users SET role = :role WHERE id = :id"), {"id": user_id, "role": role})
    engine.dispose()


def an_operator(installation: Installation) -> Account:
    """Somebody new with the role of an operator."""
    return Account(installation, "operator")
