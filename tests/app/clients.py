"""The client's API layer as one person uses it, without Flet and without a browser."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx

from api.client import Client
from api.connection import Connection
from api.events import CaughtUp, Changed, Event
from api.resources import Recipe, Task, Tokens

PASSWORD = "correct horse battery"
SMALL = {"model": "sd15", "width": 64, "height": 64, "steps": 4}
SLOW = {"width": 512, "height": 512, "steps": 40}
"""Two seconds, in which a task is found on its way on a busy machine too."""


@dataclass
class Memory:
    """A browser's storage: what two tabs share."""

    tokens: Tokens | None = None
    saved: list[Tokens | None] = field(default_factory=list)

    async def load(self) -> Tokens | None:
        await asyncio.sleep(0)  # as a browser's: others go on meanwhile
        return self.tokens

    async def save(self, tokens: Tokens | None) -> None:
        self.tokens = tokens
        self.saved.append(tokens)


@asynccontextmanager
async def tab(url: str, memory: Memory | None = None) -> AsyncIterator[Client]:
    """A visit, with the tokens that the storage holds."""
    async with httpx.AsyncClient(base_url=url) as http:
        connection = Connection(http, memory or Memory())
        await connection.restore()
        yield Client(connection)


@asynccontextmanager
async def somebody(url: str, memory: Memory | None = None) -> AsyncIterator[Client]:
    """Somebody new, signed in."""
    async with tab(url, memory) as client:
        name = f"user-{uuid4().hex[:12]}"
        await client.register(name, f"{name}@example.com", PASSWORD)
        await client.login(name, PASSWORD)
        yield client


def a_recipe(prompt: str = "a lighthouse", **fields: object) -> Recipe:
    return Recipe(prompt=prompt, **{**SMALL, **fields})


def a_key() -> str:
    return uuid4().hex


def expired(tokens: Tokens) -> Tokens:
    """The gateway refuses its access token."""
    signed, _, _ = tokens.access_token.rpartition(".")
    return Tokens(f"{signed}.expired", tokens.refresh_token)


async def events_of(client: Client, task_id: str) -> AsyncIterator[Event]:
    """Everything that is told until the task has ended, the end included."""
    async for event in client.events():
        is_over = isinstance(event, Changed) and event.task.id == task_id and event.task.has_ended
        yield event
        if isinstance(event, CaughtUp) and (task := await client.task(task_id)).has_ended:
            yield Changed(task)
            is_over = True
        if is_over:
            return


async def ended(client: Client, task: Task) -> Task:
    """The task, once it has ended."""
    last = [event async for event in events_of(client, task.id)][-1]
    assert isinstance(last, Changed)
    return last.task
