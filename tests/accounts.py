"""Somebody with an account on a running installation, as a careful client behaves."""

import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import httpx
import sqlalchemy as sa

from tests.installation import Installation

PICTURE = {"model": "sd15", "width": 64, "height": 64, "steps": 4}
FINAL = ("completed", "failed", "canceled")


class Account:
    """Registered and signed in; `http` sends the token of the newest sign-in."""

    def __init__(self, installation: Installation) -> None:
        # Nobody has to close it: no connection outlives its request.
        self.http = httpx.Client(
            base_url=installation.url, timeout=20, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self.name = f"user-{uuid4().hex[:12]}"
        self.email = f"{self.name}@example.com"
        self.password = f"the password of {uuid4()}"
        body = {"username": self.name, "email": self.email, "password": self.password}
        self.id: str = self._created("/api/v1/auth/register", body)["id"]
        self.tokens: dict[str, Any] = {}
        self.use(self.sign_in())

    @property
    def token(self) -> str:
        """The access token."""
        return str(self.tokens["access_token"])

    def sign_in(self) -> dict[str, Any]:
        """The tokens of one more session."""
        body = {"username": self.name, "password": self.password}
        return (
            httpx.post(self.http.base_url.join("/api/v1/auth/login"), json=body, timeout=20).raise_for_status().json()
        )

    def use(self, tokens: dict[str, Any]) -> None:
        """Go on with the session that these are of."""
        self.tokens = tokens
        self.http.headers["authorization"] = f"Bearer {self.token}"

    def api_key(self, scopes: Sequence[str], name: str = "a key") -> dict[str, Any]:
        """The new key as it was answered, its secret included."""
        return self._created("/api/v1/auth/keys", {"name": name, "scopes": list(scopes)})

    def sessions(self) -> list[dict[str, Any]]:
        return self.http.get("/api/v1/auth/sessions").raise_for_status().json()["sessions"]

    def delete(self) -> None:
        self.http.request("DELETE", "/api/v1/auth/me", json={"password": self.password}).raise_for_status()

    def generate(self, prompt: str = "a lighthouse", **fields: object) -> dict[str, Any]:
        return self._created("/api/v1/generation/generate", {"prompt": prompt, **PICTURE, **fields})

    def task(self, task_id: str) -> dict[str, Any]:
        return self.http.get(f"/api/v1/generation/tasks/{task_id}").raise_for_status().json()

    def painted(self, **fields: object) -> dict[str, Any]:
        """A task that has completed, with its pictures."""
        return self.until(self.generate(**fields)["id"], "completed")

    def until(self, task_id: str, *statuses: str, within: float = 60) -> dict[str, Any]:
        """Ask until the task is in one of these states, a completed one with its pictures."""
        deadline = time.monotonic() + within
        while True:
            task = self.task(task_id)
            if task["status"] in statuses and not task["results_unavailable"]:
                return task
            assert task["status"] not in FINAL or task["results_unavailable"], task
            assert time.monotonic() < deadline, task
            time.sleep(0.05)

    def _created(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.post(path, json=body)
        assert answer.status_code in (201, 202), answer.text
        return answer.json()


def an_operator(installation: Installation) -> Account:
    """Somebody new with the role of an operator, signed in since."""
    account = Account(installation)
    engine = sa.create_engine(installation.database_url("auth"))
    with engine.begin() as tx:
        tx.execute(sa.text("UPDATE users SET role = 'operator' WHERE id = :id"), {"id": account.id})
    engine.dispose()
    account.use(account.sign_in())
    return account
