"""What one operation needs, said a second time: the matrix checks that the doors say the same."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from tests.accounts import Account

OWN = ""
"""What somebody else gets: the answer to the same question, about their own things."""


class Who(Enum):
    ANYBODY = "anybody, whatever token is sent"
    VISITOR = "anybody, but a token that is sent must be good"
    PERSON = "a person"
    OPERATOR = "an operator"
    SERVICE = "a service of ours"


@dataclass(frozen=True)
class Row:
    """Who may make a call.

    Attributes:
        ask: one more request of the owner that is answered, about a thing of theirs that is there.
        scope: what an API key must be good for, separated by spaces; None: no key will do.
        other: the code that somebody else gets for the owner's very request, else OWN.
        services: by name, those who may.
    """

    who: Who
    ask: Callable[["Owner"], Any]
    scope: str | None = None
    other: str = OWN
    services: tuple[str, ...] = ()

    @property
    def scopes(self) -> list[str]:
        return (self.scope or "").split()


class Owner:
    """Somebody with one of everything, made when it is first asked for; what is used up is made anew each time."""

    def __init__(self, account: Account, engine_id: str) -> None:
        self.account = account
        self.engine_id = engine_id
        self.prompt = f"a lighthouse {uuid4()}"
        self.marks = {account.id, account.name, self.prompt}
        """Ids and names that no answer to somebody else may hold."""

    @cached_property
    def task(self) -> dict[str, Any]:
        """Completed."""
        return self._marked(self.account.painted(prompt=self.prompt, steps=1))

    @property
    def unfinished(self) -> dict[str, Any]:
        """A task that runs for some seconds."""
        return self._marked(self.account.generate(prompt=self.prompt, width=512, height=512, steps=100))

    @property
    def tasks(self) -> list[str]:
        """The ids of the newest."""
        history = self.account.http.get("/api/v1/generation/history").raise_for_status().json()
        return [task["id"] for task in history["tasks"]]

    @property
    def result(self) -> dict[str, Any]:
        return self._marked(self.task["results"][0])

    @property
    def doomed(self) -> dict[str, Any]:
        """A result that nobody will miss."""
        return self._marked(self.account.painted(prompt=self.prompt, steps=1)["results"][0])

    @property
    def share(self) -> dict[str, Any]:
        """A link to the picture that anybody may open."""
        answer = self.account.http.post(f"/api/v1/results/{self.result['id']}/shares", json={})
        return self._marked(answer.raise_for_status().json())

    @property
    def link(self) -> str:
        """The path of one; its last part is the token."""
        return urlsplit(self.share["url"]).path

    @property
    def session(self) -> str:
        """The id of another one than that which the owner speaks in."""
        self.account.sign_in()
        (session, *_) = (session.id for session in self.account.sessions() if not session.is_current)
        self.marks.add(session)
        return session

    @property
    def refresh_token(self) -> str:
        return str(self.account.sign_in()["refresh_token"])

    @property
    def key(self) -> str:
        """The id of one that is good."""
        key_id = self.account.api_key(["read"]).api_key.id
        self.marks.add(key_id)
        return key_id

    def _marked(self, thing: dict[str, Any]) -> dict[str, Any]:
        self.marks.add(thing["id"])
        return thing
