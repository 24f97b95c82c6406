"""Progress that resumes: whatever is cut, through whichever gateway, a client has every event of the log, once."""

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest
import redis
from imagegen.executor.v1 import executor_service_pb2, executor_service_pb2_grpc

from services.executor.domain import JobId
from services.executor.events import EVENTS_KEPT, Publisher
from services.runtime.tokens import ServiceIdentity
from tests.gateway.gateways import serving
from tests.installation import Installation
from tests.people import Person

SEED = 3
TASKS = 8
CUTS = 100
STEPS = 90
FINAL = ("completed", "failed", "canceled")
TRY_SECONDS = 60

Event = dict[str, Any]


@pytest.fixture(scope="module")
def replicas(installation) -> Iterator[list[str]]:
    """The installation's gateway behind its Envoy, and another one beside it."""
    neighbours = {
        f"{name}_address": address_of(installation, name) for name in ("auth", "generation", "results", "executor")
    }
    with serving(neighbours) as second:
        yield [installation.url, second.origin]


@pytest.fixture
def redis_url(installation) -> str:
    password = json.loads((installation.data / "secrets.json").read_text())["redis_password"]
    return f"redis://:{password}@{address_of(installation, 'valkey')}/0"


def address_of(installation: Installation, process: str) -> str:
    return json.loads((installation.data / "run" / "processes.json").read_text())["processes"][process]["address"]


def logged_after(installation: Installation, task_id: str, cursor: str) -> list[tuple[str, str, Any]]:
    """(id, kind, content) of what the executor's log holds of a finished job after a place."""
    secret = json.loads((installation.data / "secrets.json").read_text())["generation_service_key"]
    token = ServiceIdentity("generation", secret).token("executor")
    request = executor_service_pb2.WatchJobRequest(job_id=task_id, cursor=cursor)
    with grpc.insecure_channel(address_of(installation, "executor")) as channel:
        stub = executor_service_pb2_grpc.ExecutorServiceStub(channel)
        told = list(stub.WatchJob(request, metadata=(("authorization", f"Bearer {token}"),), timeout=20))
    events: list[tuple[str, str, Any]] = []
    for event in told:
        if event.HasField("progress"):
            events.append((event.cursor, "progress", (event.progress.step, event.progress.steps)))
        elif event.HasField("status"):
            state = "end" if event.status.HasField("finish_time") else "going"
            events.append(("end" if state == "end" else event.cursor, "status", state))
        else:
            assert event.HasField("preview"), event
    return events


def events_of(response: httpx.Response) -> Iterator[Event]:
    """As they stand on the wire: an event without an id has none, which an EventSource would not show."""
    fields: Event = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "event" in fields:
                yield {"id": fields.get("id", ""), "kind": fields["event"], "data": json.loads(fields["data"])}
            fields = {}


@dataclass
class Follower:
    """Follows one task over one connection after the other, each to the next replica.

    With a `chance`, a connection is cut after some events or some time, but not before the first id has come.
    """

    path: str
    clients: list[httpx.Client]
    chance: random.Random | None = None
    cursor: str = ""
    seen: list[Event] = field(default_factory=list)
    cuts: int = 0

    def follow(self) -> list[Event]:
        """Every event that came, once the task has ended."""
        while not self.seen or self.seen[-1]["data"].get("status") not in FINAL:
            self._connect(self.clients[self.cuts % len(self.clients)])
        return self.seen

    def _connect(self, client: httpx.Client) -> None:
        patience, events = 60.0, 0
        if self.chance:
            patience, events = self.chance.uniform(0.1, 0.4), self.chance.randrange(1, 4)
        headers = {"Last-Event-ID": self.cursor} if self.cursor else {}
        timeout = httpx.Timeout(20, read=patience if self.cursor else 60)
        try:
            with client.stream("GET", self.path, headers=headers, timeout=timeout) as response:
                for event in events_of(response):
                    self.seen.append(event)
                    self.cursor = event["id"] or self.cursor
                    events -= 1
                    if self.chance and self.cursor and events <= 0:
                        break
        except httpx.ReadTimeout:
            pass
        self.cuts += 1


def test_a_hundred_cuts_through_two_gateways_lose_and_repeat_nothing(installation, person, replicas):
    person.generate(width=512, height=512, steps=20)  # the others wait behind it until they are followed
    tasks = [person.generate(width=64, height=64, steps=STEPS) for _ in range(TASKS)]
    clients = [httpx.Client(base_url=origin, headers=person.http.headers) for origin in replicas]
    followers = [
        Follower(task["links"]["events"], clients, random.Random(SEED + number)) for number, task in enumerate(tasks)
    ]
    with ThreadPoolExecutor(TASKS) as threads:
        seen = list(threads.map(Follower.follow, followers))
    for client in clients:
        client.close()

    assert sum(follower.cuts for follower in followers) >= CUTS
    for task, events in zip(tasks, seen, strict=True):
        assert {event["kind"] for event in events} <= {"snapshot", "status", "progress", "preview"}
        first, *later = [event for event in events if event["id"]]
        assert [shown(event) for event in later] == logged_after(installation, task["id"], first["id"])
        assert [event["data"]["step"] for event in later if event["kind"] == "progress"][-1] == STEPS


def shown(event: Event) -> tuple[str, str, Any]:
    if event["kind"] == "progress":
        return event["id"], "progress", (event["data"]["step"], event["data"]["steps"])
    return event["id"], event["kind"], "end" if event["data"]["status"] in FINAL else "going"


def test_a_cursor_that_has_been_trimmed_gets_a_reset_and_a_snapshot(person, replicas, redis_url):
    task = person.generate(width=512, height=512, steps=40)  # long enough to be followed while it is painted
    seen = follow(person, replicas[0], task)
    cursor = next(event["id"] for event in seen if event["kind"] == "progress")
    with closing(Publisher(redis_url)) as others:
        for _ in range(EVENTS_KEPT + 1):
            others.progress(JobId(uuid4()), 1, 1, 2)

    reset, snapshot = once_reset(person, replicas[1], task, cursor)

    assert (reset["data"], reset["id"]) == ({}, "")
    assert (snapshot["kind"], snapshot["data"]["status"]) == ("snapshot", "completed")


def test_a_cursor_of_another_log_gets_a_reset_and_a_snapshot_and_the_rest(installation, person, replicas, redis_url):
    running = person.generate(width=512, height=512, steps=100)
    task = person.generate(steps=4)
    cursor = first_cursor(person, replicas[0], task)
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()

    _, snapshot = once_reset(person, replicas[1], task, cursor)

    assert snapshot["kind"] == "snapshot"
    assert snapshot["id"] not in ("", cursor)
    assert person.ended(running["id"])["status"] == "completed"
    rest = follow(person, replicas[0], task, snapshot["id"])
    assert [shown(event) for event in rest if event["id"]] == logged_after(installation, task["id"], snapshot["id"])
    assert rest[-1]["data"]["status"] == "completed"


def follow(person: Person, origin: str, task: dict, cursor: str = "") -> list[Event]:
    """Every event after a place, uncut."""
    with httpx.Client(base_url=origin, headers=person.http.headers) as client:
        return Follower(task["links"]["events"], [client], cursor=cursor).follow()


def first_cursor(person: Person, origin: str, task: dict) -> str:
    with (
        httpx.Client(base_url=origin, headers=person.http.headers, timeout=20) as client,
        client.stream("GET", task["links"]["events"]) as response,
    ):
        return next(event["id"] for event in events_of(response) if event["id"])


def once_reset(person: Person, origin: str, task: dict, cursor: str) -> list[Event]:
    """The first two events once the executor has noticed that the cursor is worth nothing."""

    def first_two() -> list[Event]:
        with (
            httpx.Client(base_url=origin, headers=person.http.headers, timeout=20) as client,
            client.stream("GET", task["links"]["events"], headers={"Last-Event-ID": cursor}) as response,
        ):
            events = events_of(response)
            first = next(events)
            return [first, next(events)] if first["kind"] == "reset" else []

    return eventually(first_two)


def eventually(look: Callable[[], list[Event]]) -> list[Event]:
    deadline = time.monotonic() + TRY_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.1)
    return found
