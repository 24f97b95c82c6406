"""The API under load, through Envoy: everything as `make run` starts it, with a queue that does not move.

The client is one asyncio process on the same cores, so its own work is in every figure; /healthz, which touches
neither a service nor a database, is measured among the rest to tell how much of a figure that is.
"""

import asyncio
import itertools
import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import sqlalchemy

from tests.bench.measures import cpu_seconds, largest_first, memory_of_pid, milliseconds, percentile
from tests.installation import Installation, running_installation

SETTINGS = {
    "GATEWAY_RATE_LIMIT_PER_USER": "0",
    "GATEWAY_RATE_LIMIT_PER_ADDRESS": "0",
    "AUTH_ADDRESS_REGISTRATIONS": "1000000",
    "GENERATION_QUEUED_CAP": "1000000",
}
"""What protects an installation from a load like this one is turned off."""

PASSWORD = "correct horse battery"
PACE = (0.5, 1.5)
"""Seconds from an answer to the same user's next request: a person at a page that looks after its tasks."""

_QUIET_SECONDS = 5.0


class Person:
    """One user, signed in, with a picture and with tasks that wait."""

    def __init__(self, http: httpx.AsyncClient, name: str) -> None:
        self._http = http
        self._name = name
        self._headers: Mapping[str, str] = {}
        self._picture = ""
        self.tokens: dict[str, Any] = {}
        self.tasks: list[dict[str, Any]] = []

    async def register(self) -> None:
        account = {"username": self._name, "email": f"{self._name}@example.com", "password": PASSWORD}
        (await self._http.post("/api/v1/auth/register", json=account)).raise_for_status()
        await self.login()

    async def login(self) -> None:
        account = {"username": self._name, "password": PASSWORD}
        self.tokens = (await self._http.post("/api/v1/auth/login", json=account)).raise_for_status().json()
        self._headers = {"authorization": f"Bearer {self.tokens['access_token']}"}

    async def paint(self, colour: int) -> None:
        task = await self._ask("bench-null", seed=colour)
        async with self._follow(task) as source:
            ended = [event async for event in source.aiter_sse()][-1]
        self._picture = json.loads(ended.data)["results"][0]["id"]

    async def generate(self) -> None:
        self.tasks.append(await self._ask("bench-waiting"))

    async def task(self) -> None:
        await self._get(self.tasks[0]["links"]["self"])

    async def history(self) -> None:
        await self._get("/api/v1/generation/history")

    async def result(self) -> None:
        await self._get(f"/api/v1/results/{self._picture}")

    async def models(self) -> None:
        await self._get("/api/v1/models")

    async def yardstick(self) -> None:
        await self._get("/healthz")

    async def stream(self) -> None:
        """Until the snapshot is there."""
        async with self._follow(self.tasks[0]) as source:
            await anext(source.aiter_sse())

    async def cancel(self, task: dict[str, Any]) -> None:
        address = f"{task['links']['self']}/cancel"
        (await self._http.post(address, headers=self._headers)).raise_for_status()

    async def watch(self, task: dict[str, Any], snapshot: asyncio.Event) -> None:
        """Sets `snapshot` when that has come, and returns when the stream has told that the task is canceled."""
        async with self._follow(task) as source:
            async for event in source.aiter_sse():
                snapshot.set()
                # A heartbeat after the first event reaches a reader of httpx_sse as an event of nothing.
                if event.data and json.loads(event.data).get("status") == "canceled":
                    return
        raise RuntimeError("a stream ended before its task did")

    async def _ask(self, model: str, **fields: int) -> dict[str, Any]:
        body = {"prompt": "a lighthouse at dusk", "model": model, **fields}
        answer = await self._http.post("/api/v1/generation/generate", json=body, headers=self._headers)
        task: dict[str, Any] = answer.raise_for_status().json()
        return task

    async def _get(self, path: str) -> None:
        (await self._http.get(path, headers=self._headers)).raise_for_status()

    def _follow(self, task: dict[str, Any]) -> Any:
        return httpx_sse.aconnect_sse(self._http, "GET", task["links"]["events"], headers=self._headers)


@dataclass(frozen=True)
class Operation:
    """What a user does, how often beside the rest, and the limits of its p95: the product's and our own."""

    name: str
    do: Callable[[Person], Awaitable[None]]
    weight: int
    ceiling: str = ""
    aim: str = ""


OPERATIONS = (
    Operation("login", Person.login, 1, "2 s", "150 ms"),
    Operation("generate", Person.generate, 3, "1 s", "100 ms"),
    Operation("task", Person.task, 10, "", "50 ms"),
    Operation("history", Person.history, 4, "", "50 ms"),
    Operation("result", Person.result, 4, "500 ms", "50 ms"),
    Operation("models", Person.models, 2, "", "50 ms"),
    Operation("a stream, to its snapshot", Person.stream, 4),
    Operation("yardstick: /healthz", Person.yardstick, 2),
)


@dataclass
class Taken:
    """What a load took: seconds by operation, and what failed."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {operation.name: [] for operation in OPERATIONS})
    failures: Counter[str] = field(default_factory=Counter)


def measure(*, users: int, waiting: int, seconds: float, streams: int) -> None:
    """Starts an installation and prints the tables."""
    models = Path(__file__).parent / "models"
    with (
        tempfile.TemporaryDirectory(prefix="imagegen-bench-", ignore_cleanup_errors=True) as folder,
        running_installation(Path(folder), **SETTINGS, EXECUTOR_MODELS_DIR=str(models)) as installation,
    ):
        asyncio.run(_measure(installation, users, waiting, seconds, streams))


async def _measure(at: Installation, users: int, waiting: int, seconds: float, streams: int) -> None:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=users)
    async with httpx.AsyncClient(base_url=at.url, timeout=60, limits=limits, trust_env=False) as http:
        people = [Person(http, f"user-{number}") for number in range(users)]
        for number, person in enumerate(people):
            await person.register()
            await person.paint(number)
        await _all(_ask_for(person, waiting // users) for person in people)
        accepted = time.monotonic()
        await asyncio.to_thread(_await_submission, at)
        _say(f"\n6. The API under load: {users} users, {waiting} tasks waiting, load {os.getloadavg()[0]:.1f} before")
        _say(f"the executor had every task {time.monotonic() - accepted:.1f} s after the last was accepted")
        _say("\nNobody asks for anything")
        with _processors(at):
            await asyncio.sleep(_QUIET_SECONDS)
        pace = f"each {PACE[0]} to {PACE[1]} s after the last answer"
        for title, pauses in ((pace, PACE), ("each at once after the last answer: saturated", (0.0, 0.0))):
            _say(f"\nOne request at a time from each user, {title}")
            with _processors(at):
                await _load(people, seconds, pauses)
        await _watch(at, people, streams)


async def _load(people: Sequence[Person], seconds: float, pauses: tuple[float, float]) -> None:
    taken, end = Taken(), time.monotonic() + seconds
    await _all(_use(person, random.Random(number), taken, end, pauses) for number, person in enumerate(people))
    _row("", "p50", "p95", "p99", "ceiling", "aim", "requests")
    for operation in OPERATIONS:
        if values := taken.seconds[operation.name]:
            shown = [milliseconds(percentile(values, at)) for at in (50, 95, 99)]
            _row(operation.name, *shown, operation.ceiling, operation.aim, str(len(values)))
    number = sum(map(len, taken.seconds.values()))
    _say(f"{number / seconds:.0f} requests/s; failed: {dict(taken.failures) or 'none'}")


async def _use(person: Person, choice: random.Random, taken: Taken, end: float, pauses: tuple[float, float]) -> None:
    weights = [operation.weight for operation in OPERATIONS]
    await asyncio.sleep(choice.uniform(0, pauses[1]))
    while time.monotonic() < end:
        operation = choice.choices(OPERATIONS, weights)[0]
        began = time.monotonic()
        try:
            await operation.do(person)
        except httpx.HTTPError as error:
            taken.failures[f"{operation.name}: {type(error).__name__}"] += 1
        else:
            taken.seconds[operation.name].append(time.monotonic() - began)
        await asyncio.sleep(choice.uniform(*pauses))


async def _watch(at: Installation, people: Sequence[Person], streams: int) -> None:
    """Many open streams, each of a task of its own; every task is then canceled, and every stream tells it."""
    watched = [(person, task) for person in people for task in person.tasks[: streams // len(people)]]
    before = _memory(at)
    began = time.monotonic()
    snapshots = [asyncio.Event() for _ in watched]
    told: list[float] = []
    canceled: dict[str, float] = {}

    async def follow(person: Person, task: dict[str, Any], snapshot: asyncio.Event) -> None:
        await person.watch(task, snapshot)
        told.append(time.monotonic() - canceled[task["id"]])

    async def cancel(person: Person, tasks: Sequence[dict[str, Any]]) -> None:
        for task in tasks:
            canceled[task["id"]] = time.monotonic()
            await person.cancel(task)

    async with asyncio.TaskGroup() as following:
        for (person, task), snapshot in zip(watched, snapshots, strict=True):
            following.create_task(follow(person, task, snapshot))
        opened = []
        for snapshot in snapshots:
            await snapshot.wait()
            opened.append(time.monotonic() - began)
        _say(f"\n{len(watched)} event streams through one gateway, opened at once")
        _say(f"every stream has its snapshot after {opened[-1]:.2f} s")
        for name, (rss, pss) in _memory(at).items():
            each = 1024 * (rss - before[name][0]) / len(watched)
            _say(f"memory of {name}: {rss:.0f} MiB (PSS {pss:.0f} MiB), {each:.0f} KiB a stream more than before")
        by_person = itertools.groupby(watched, lambda one: one[0])
        for person, group in by_person:
            following.create_task(cancel(person, [task for _, task in group]))
    shown = " / ".join(milliseconds(percentile(told, at)) for at in (50, 95, 100))
    _say(f"all canceled, {len(people)} at a time, and {len(told)} streams told it; p50 / p95 / max {shown}")


@contextmanager
def _processors(at: Installation) -> Iterator[None]:
    """Tells whose processor time it was."""
    pids = {name: process["pid"] for name, process in at.processes.items() if process["pid"]}

    def used() -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in pids.items()} | {"this client": time.process_time()}

    began, before = time.monotonic(), used()
    yield
    after, elapsed = used(), time.monotonic() - began
    cores = {name: (after[name] - before[name]) / elapsed for name in after}
    shown = ", ".join(f"{name} {share:.2f}" for name, share in largest_first(cores) if share >= 0.01)
    _say(f"processors busy: {shown}")


def _memory(at: Installation) -> dict[str, tuple[float, float]]:
    """RSS and PSS of those that a stream passes."""
    pids = {name: at.pid(name) for name in ("gateway", "generation", "envoy")}
    return {name: memory_of_pid(pid) for name, pid in pids.items()}


def _await_submission(at: Installation) -> None:
    """Until the executor has every task: before that, handing them over is a load of its own."""
    engine = sqlalchemy.create_engine(at.database_url("generation"))
    unsubmitted = sqlalchemy.text("SELECT count(*) FROM generation_tasks WHERE submitted_at IS NULL")
    with engine.connect() as connection:
        while connection.execute(unsubmitted).scalar_one():
            connection.rollback()
            time.sleep(0.1)
    engine.dispose()


async def _ask_for(person: Person, tasks: int) -> None:
    for _ in range(tasks):
        await person.generate()


async def _all(coroutines: Iterator[Any]) -> None:
    async with asyncio.TaskGroup() as group:
        for coroutine in coroutines:
            group.create_task(coroutine)


def _row(*columns: str) -> None:
    what, *figures = columns
    _say(f"{what:28}{''.join(f'{figure:>12}' for figure in figures)}")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the table is what this program is for
