"""People who ask for pictures as careful clients do: whatever fails, they ask again until they know."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

import httpx
import httpx_sse

PICTURE = {"model": "sd15", "width": 64, "height": 64, "steps": 4}
FINAL = ("completed", "failed", "canceled")

_PASSWORD = "correct horse battery"
_PATIENCE_SECONDS = 120.0  # many times what any single fault lasts
_AGAIN_SECONDS = (0.1, 0.5)
_TRY_LATER = (502, 503, 504)
_SILENCE_SECONDS = 20.0  # streams send something every 15 s


@dataclass(frozen=True)
class Wish:
    """One task that somebody will ask for, and what they will do about it.

    Attributes:
        at: seconds after the beginning.
        cancel_after: seconds after it was accepted; None lets it be.
        watches: follows the task's events to the end.
        signs_in: before asking, as one does with another device.
    """

    at: float
    prompt: str
    count: int
    cancel_after: float | None
    watches: bool
    signs_in: bool


def wishes(seed: int, count: int, over_seconds: float) -> list[Wish]:
    """What one person wants: it follows from the seed."""
    chance = random.Random(seed)
    return [
        Wish(
            at=chance.uniform(0, over_seconds),
            prompt=chance.choice(("a lighthouse at dusk", "snowy mountains", "雨后的江南古镇")),
            count=2 if chance.random() < 0.1 else 1,
            cancel_after=chance.uniform(0, 3) if chance.random() < 0.15 else None,
            watches=chance.random() < 0.2,
            signs_in=chance.random() < 0.1,
        )
        for _ in range(count)
    ]


@dataclass
class Asked:
    """A wish and what its person was told: the accepted task's id, and the end that they saw if they watched."""

    wish: Wish
    task_id: str = ""
    seen_end: str = ""


@dataclass
class Person:
    """Somebody with an account. What went against the promises that clients are given is in `complaints`."""

    http: httpx.AsyncClient
    asked: list[Asked] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    name: str = field(default_factory=lambda: f"user-{uuid4().hex[:12]}")

    @classmethod
    async def register(cls, url: str) -> Self:
        person = cls(httpx.AsyncClient(base_url=url, timeout=5))
        account = {"username": person.name, "email": f"{person.name}@example.com", "password": _PASSWORD}
        (await person.http.post("/api/v1/auth/register", json=account)).raise_for_status()
        await person.sign_in()
        return person

    async def sign_in(self) -> None:
        credentials = {"username": self.name, "password": _PASSWORD}
        tokens = await self._until_answered(lambda: self.http.post("/api/v1/auth/login", json=credentials))
        if tokens.status_code == 200:
            self.http.headers["authorization"] = f"Bearer {tokens.json()['access_token']}"
        else:
            self._complain("a sign-in", tokens)

    async def live(self, wanted: list[Wish], *, until: float) -> None:
        """Ask for all of them, each at its time, and see it through; a stream is watched `until` then at most."""
        begin = time.monotonic()
        self.asked = [Asked(wish) for wish in wanted]
        await asyncio.gather(*(self._see_through(asked, begin + asked.wish.at, begin + until) for asked in self.asked))

    async def tasks(self) -> dict[str, Any]:
        """The whole history, by id, as it is now."""
        found: dict[str, Any] = {}
        cursor = ""
        while True:
            query = {"limit": "100", **({"cursor": cursor} if cursor else {})}
            answer = await self._until_answered(lambda: self.http.get("/api/v1/generation/history", params=query))  # noqa: B023 - awaited at once
            page = answer.raise_for_status().json()
            found |= {task["id"]: task for task in page["tasks"]}
            cursor = page["next_cursor"]
            if not cursor:
                return found

    async def _see_through(self, asked: Asked, at: float, until: float) -> None:
        try:
            await self._ask(asked, at, until)
        except* httpx.TransportError as errors:
            self.complaints.append(f"{asked.task_id or 'a request'}: never answered: {errors.exceptions}")

    async def _ask(self, asked: Asked, at: float, until: float) -> None:
        await asyncio.sleep(at - time.monotonic())
        if asked.wish.signs_in:
            await self.sign_in()
        body = {"prompt": asked.wish.prompt, "count": asked.wish.count, **PICTURE}
        headers = {"Idempotency-Key": str(uuid4())}
        answer = await self._until_answered(
            lambda: self.http.post("/api/v1/generation/generate", json=body, headers=headers)
        )
        if answer.status_code != 202:
            return self._complain("a request", answer)
        asked.task_id = answer.json()["id"]
        async with asyncio.TaskGroup() as doings:
            if asked.wish.watches:
                doings.create_task(self._watch(asked, until))
            if asked.wish.cancel_after is not None:
                doings.create_task(self._cancel(asked.task_id, asked.wish.cancel_after))
        return None

    async def _cancel(self, task_id: str, after: float) -> None:
        await asyncio.sleep(after)
        answer = await self._until_answered(lambda: self.http.post(f"/api/v1/generation/tasks/{task_id}/cancel"))
        if answer.status_code != 200 and not _says(answer, "task_finished"):
            self._complain(f"the cancel of {task_id}", answer)

    async def _watch(self, asked: Asked, until: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(until - time.monotonic()):
                await self._follow(asked)
        if not asked.seen_end:
            self.complaints.append(f"{asked.task_id}: its events told no end")

    async def _follow(self, asked: Asked) -> None:
        """To the end, resuming wherever the stream breaks off."""
        path, cursor = f"/api/v1/generation/tasks/{asked.task_id}/events", ""
        while not asked.seen_end:
            headers = {"Last-Event-ID": cursor} if cursor else {}
            try:
                async with httpx_sse.aconnect_sse(
                    self.http, "GET", path, headers=headers, timeout=_SILENCE_SECONDS
                ) as source:
                    if source.response.status_code == 200:
                        async for event in source.aiter_sse():
                            cursor = event.id or cursor
                            if event.event in ("snapshot", "status"):
                                status = json.loads(event.data)["status"]
                                asked.seen_end = status if status in FINAL else ""
                    elif source.response.status_code not in _TRY_LATER:
                        await source.response.aread()
                        return self._complain(f"the watching of {asked.task_id}", source.response)
            except (httpx.TransportError, httpx_sse.SSEError):
                pass
            await asyncio.sleep(random.uniform(*_AGAIN_SECONDS))
        return None

    async def _until_answered(self, send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """The first answer that another try would not better; the last one when patience ends."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                answer = await send()
                if _says(answer, "token_expired"):
                    await self.sign_in()
                elif answer.status_code not in _TRY_LATER or time.monotonic() > deadline:
                    return answer
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(random.uniform(*_AGAIN_SECONDS))

    def _complain(self, what: str, answer: httpx.Response) -> None:
        self.complaints.append(f"{what} was answered with {answer.status_code}: {answer.text[:300]}")


def _says(answer: httpx.Response, code: str) -> bool:
    return answer.headers.get("content-type") == "application/problem+json" and answer.json()["code"] == code
