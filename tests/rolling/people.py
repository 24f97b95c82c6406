"""Who uses the installation meanwhile: plain clients, which repeat nothing but what any EventSource does.

Whatever is not answered as a healthy installation answers is a failed request.
"""

import asyncio
import json
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

import grpc
import httpx
import httpx_sse
from imagegen.auth.v1 import auth_service_pb2, auth_service_pb2_grpc
from imagegen.generation.v1 import generation_service_pb2, generation_service_pb2_grpc

PICTURE = {"model": "sd15", "width": 64, "height": 64, "steps": 6}
FINAL = ("completed", "failed", "canceled")

_EVENT_SOURCE_SECONDS = 1.0  # until it connects again, as the gateway says in `retry`
_SILENCE_SECONDS = 40.0  # beyond the gateway's heartbeat
_ANSWER_SECONDS = 20.0
_PATIENCE_SECONDS = 60.0


@dataclass
class Tally:
    """What people met.

    Attributes:
        requests: by what was asked.
        failed: a sentence for each request that failed.
        streams: how many event streams were begun, those that resume one included.
        cut: how many of them broke before the task's end.
        stuck: a sentence for each stream that did not resume.
        accepted: every task, with the state it was last seen in.
    """

    requests: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    streams: int = 0
    cut: int = 0
    stuck: list[str] = field(default_factory=list)
    accepted: dict[str, str] = field(default_factory=dict)

    @property
    def lost(self) -> list[str]:
        """Every accepted task that did not end in its pictures."""
        return [f"{task_id} is {state}" for task_id, state in self.accepted.items() if state != "completed"]


class Person:
    """Generates, watches, looks at the history and at the picture, again and again."""

    def __init__(self, url: str, tally: Tally) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=_ANSWER_SECONDS)
        self._door = grpc.aio.insecure_channel(url.removeprefix("http://"))
        self._tally = tally
        self._token = ""
        self._tasks: list[str] = []

    async def sign_up(self) -> None:
        name = f"user-{uuid4().hex[:12]}"
        account = {"username": name, "email": f"{name}@example.com", "password": f"the password of {name}"}
        (await self._http.post("/api/v1/auth/register", json=account)).raise_for_status()
        credentials = {"username": name, "password": account["password"]}
        answer = await self._http.post("/api/v1/auth/login", json=credentials)
        self._token = answer.raise_for_status().json()["access_token"]
        self._http.headers["authorization"] = f"Bearer {self._token}"

    async def use(self, enough: asyncio.Event) -> None:
        """Until it is enough, every own task has ended, and its picture is still there."""
        while not enough.is_set():
            await self._paint()
        await self._see_to_the_end()
        for task_id in self._tasks:
            await self._look_at(task_id)
        await self._http.aclose()
        await self._door.close()

    async def _paint(self) -> None:
        headers = {"idempotency-key": str(uuid4())}
        prompt = {"prompt": "a lighthouse", **PICTURE}
        answer = await self._ask("generate", "POST", "/api/v1/generation/generate", 202, json=prompt, headers=headers)
        if answer is None:
            return
        task_id = str(answer.json()["id"])
        self._tally.accepted[task_id] = "pending"
        self._tasks.append(task_id)
        await self._watch(task_id)
        await self._look_at(task_id)
        await self._ask("history", "GET", "/api/v1/generation/history?page_size=5", 200)
        await self._ask("gallery", "GET", "/api/v1/results?page_size=5", 200)
        await self._call("gRPC GetMe", auth_service_pb2_grpc.AuthServiceStub(self._door).GetMe, _ME)
        generation = generation_service_pb2_grpc.GenerationServiceStub(self._door)
        await self._call("gRPC GetTask", generation.GetTask, generation_service_pb2.GetTaskRequest(task_id=task_id))

    async def _look_at(self, task_id: str) -> None:
        shown = await self._ask("task", "GET", f"/api/v1/generation/tasks/{task_id}", 200)
        if shown is not None:
            self._tally.accepted[task_id] = shown.json()["status"]
            if not shown.json()["results"]:
                self._tally.failed.append(f"task: {task_id} is shown without its picture")
            for result in shown.json()["results"]:
                await self._ask("picture", "GET", result["image_url"], 200)

    async def _see_to_the_end(self) -> None:
        """What became of tasks whose end this person has not seen, asked patiently: nothing of it is counted."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for task_id in self._tasks:
            while self._tally.accepted[task_id] not in FINAL and time.monotonic() < deadline:
                with suppress(httpx.HTTPError):
                    answer = await self._http.get(f"/api/v1/generation/tasks/{task_id}")
                    self._tally.accepted[task_id] = answer.raise_for_status().json()["status"]
                await asyncio.sleep(_EVENT_SOURCE_SECONDS)

    async def _ask(self, what: str, method: str, url: str, expected: int, **body: object) -> httpx.Response | None:
        self._tally.requests[what] += 1
        try:
            answer = await self._http.request(method, url, **body)  # type: ignore[arg-type] # httpx's own names
        except httpx.HTTPError as error:
            self._tally.failed.append(f"{what}: {error!r}")
            return None
        if answer.status_code != expected:
            self._tally.failed.append(f"{what}: {answer.status_code} {answer.text[:200]}")
            return None
        return answer

    async def _call(self, what: str, method: object, request: object) -> None:
        self._tally.requests[what] += 1
        try:
            metadata = (("authorization", f"Bearer {self._token}"),)
            await method(request, metadata=metadata, timeout=_ANSWER_SECONDS)  # type: ignore[operator] # of any stub
        except grpc.aio.AioRpcError as error:
            self._tally.failed.append(f"{what}: {error.code().name} {error.details()}")

    async def _watch(self, task_id: str) -> None:
        """As an EventSource: connects again by the last id until 204 says that it has all; other answers end it."""
        cursor = ""
        while True:
            self._tally.streams += 1
            ended = False
            headers = {"last-event-id": cursor} if cursor else {}
            try:
                async with httpx_sse.aconnect_sse(
                    self._http,
                    "GET",
                    f"/api/v1/generation/tasks/{task_id}/events",
                    headers=headers,
                    timeout=_SILENCE_SECONDS,
                ) as source:
                    if source.response.status_code == 204:
                        return
                    if source.response.status_code != 200:
                        await source.response.aread()
                        said = f"{source.response.status_code} {source.response.text[:200]}"
                        self._tally.stuck.append(f"{task_id} after {cursor!r}: {said}")
                        return
                    async for event in source.aiter_sse():
                        cursor = event.id or cursor
                        ended = event.event in ("snapshot", "status") and json.loads(event.data)["status"] in FINAL
            except (httpx.ConnectError, httpx.ReadTimeout) as error:
                self._tally.stuck.append(f"{task_id} after {cursor!r}: {error!r}")
                return
            except (httpx.TransportError, httpx_sse.SSEError):
                pass  # it was cut
            if ended:
                return
            self._tally.cut += 1
            await asyncio.sleep(_EVENT_SOURCE_SECONDS)


_ME = auth_service_pb2.GetMeRequest()
