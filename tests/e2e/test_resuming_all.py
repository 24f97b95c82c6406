"""One stream of all of a person's tasks, cut again and again, through whichever gateway."""

import random
from collections.abc import Iterator
from contextlib import suppress

import httpx

from tests.e2e.test_resuming import FINAL, SEED, STEPS, Event, events_of, logged_after, replicas
from tests.people import Person

__all__ = ["replicas"]

PATH = "/api/v1/generation/events"
CUTS = 10


def test_cuts_through_two_gateways_and_a_restart_of_generation_lose_no_step_of_any_task(
    installation,
    person,
    replicas,
):
    person.generate(width=512, height=512, steps=20)  # the others wait behind it until they are followed
    tasks = {person.generate(width=64, height=64, steps=STEPS)["id"] for _ in range(8)}
    chance, seen, cuts = random.Random(SEED), list[Event](), 0
    while tasks - ended(seen):
        if cuts == CUTS // 2:
            installation.kill("generation")
        cursor = next((event["id"] for event in reversed(seen) if event["id"]), "")
        count = chance.randrange(3)
        for event in events_from(person, replicas[cuts % 2], cursor):
            seen.append(event)
            count -= event["kind"] in ("progress", "status")
            if (count < 0 and event["id"]) or not tasks - ended(seen):
                break
        cuts += 1

    cursors = [event["id"] for event in seen if event["id"]]
    assert cuts >= CUTS
    for task_id in tasks:
        mine = [event for event in seen if event["data"].get("task_id") == task_id]
        steps = [event["data"]["step"] for event in mine if event["kind"] == "progress"]
        logged = [step for _, kind, (step, *_) in logged_after(installation, task_id, cursors[0]) if kind == "progress"]
        assert set(logged) <= set(steps)
        assert logged[-1] == STEPS
        assert mine[-1]["data"]["status"] == "completed"
        assert mine[-1]["data"]["results"]


def ended(events: list[Event]) -> set[str]:
    return {event["data"]["task_id"] for event in events if event["data"].get("status") in FINAL}


def events_from(person: Person, origin: str, cursor: str) -> Iterator[Event]:
    """As many as come."""
    headers = {"Last-Event-ID": cursor} if cursor else {}
    with (
        suppress(httpx.TransportError),
        httpx.Client(base_url=origin, headers=person.http.headers, timeout=20) as client,
        client.stream("GET", PATH, headers=headers) as response,
    ):
        if response.status_code == httpx.codes.OK:
            for event in events_of(response):
                assert event["kind"] != "reset"
                yield event
