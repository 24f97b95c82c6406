"""Whatever is killed, every task that was accepted ends in its pictures, once."""

import contextlib
import signal
import threading
import time

import httpx
import pytest

from tests.e2e.conftest import Person

TASKS = 20


def all_end_completed(person: Person, tasks: list[str], count: int = 1) -> None:
    for task_id in tasks:
        task = person.ended(task_id)
        assert task["status"] == "completed", task
        assert [result["index"] for result in task["results"]] == list(range(count)), task


def accepted(person: Person) -> str:
    """Generate as a careful client does: repeat with the same key until it is accepted."""
    from uuid import uuid4

    body = {"prompt": "a lighthouse", "model": "sd15", "width": 128, "height": 128, "steps": 6}
    headers = {"Idempotency-Key": str(uuid4())}
    while True:
        try:
            answer = person.http.post("/api/v1/generation/generate", json=body, headers=headers)
            if answer.status_code == 202:
                return answer.json()["id"]
            assert answer.status_code in (502, 503, 504), answer.text
        except httpx.HTTPError:
            pass
        time.sleep(0.1)


@pytest.mark.parametrize(
    "victim", ["worker", "sketch", "executor", "generation", "results", "auth", "gateway", "valkey", "postgres"]
)
def test_twenty_tasks_survive_kill_9_of(installation, person, victim):
    tasks = [accepted(person) for _ in range(TASKS // 2)]
    while person.task(tasks[1])["status"] == "pending":
        time.sleep(0.05)
    before = installation.pid(victim)
    installation.kill(victim)
    tasks += [accepted(person) for _ in range(TASKS - len(tasks))]
    all_end_completed(person, tasks)
    assert len(set(tasks)) == TASKS
    assert installation.pid(victim) not in (None, before), "the launcher brought it back"


def test_with_redis_frozen_tasks_are_painted(installation, person):
    installation.kill("valkey", signal.SIGSTOP)
    try:
        all_end_completed(person, [person.generate()["id"] for _ in range(3)])
    finally:
        installation.kill("valkey", signal.SIGCONT)


def test_with_the_executor_down_tasks_are_accepted(installation, person):
    accepting, tasks = threading.Event(), []

    def keep_it_down() -> None:
        while not accepting.is_set():
            if installation.pid("executor"):
                with contextlib.suppress(ProcessLookupError):
                    installation.kill("executor")
            time.sleep(0.02)

    thread = threading.Thread(target=keep_it_down)
    thread.start()
    try:
        tasks = [person.generate()["id"] for _ in range(3)]
        assert {person.task(task_id)["status"] for task_id in tasks} == {"pending"}
    finally:
        accepting.set()
        thread.join()
    all_end_completed(person, tasks)
