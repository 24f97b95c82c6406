"""A creating request that is repeated makes one thing, whatever dies between the commit and the answer."""

import asyncio
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg2
import pytest

from deploy.local.ports import LOOPBACK, reserved_ports
from tests.accounts import PICTURE, Account
from tests.installation import Installation

DUPLICATES = 200
TRY_LATER = (502, 503, 504)
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def replica(installation) -> Iterator[str]:
    """The URL of a second gateway, with the environment of the first."""
    pid = installation.pid("gateway")
    given = Path(f"/proc/{pid}/environ").read_text().strip("\0").split("\0")
    with reserved_ports(["gateway"]) as ports, (installation.data / "replica.log").open("wb") as log:
        listen = f"{LOOPBACK}:{ports['gateway']}"
        environment = {**dict(item.split("=", 1) for item in given), "GATEWAY_LISTEN": listen, "METRICS_LISTEN": ""}
        process = subprocess.Popen([sys.executable, "-m", "gateway.main"], env=environment, stdout=log, stderr=log)
    try:
        url = f"http://{listen}"
        until(lambda: _status(f"{url}/readyz") == 200)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def test_200_duplicates_through_two_gateways_with_kills_are_one_task_with_one_set_of_pictures(installation, replica):
    account, key = Account(installation), str(uuid4())
    headers = {"Idempotency-Key": key, "authorization": f"Bearer {account.token}"}
    wish = Wish("/api/v1/generation/generate", {"prompt": "a fox", **PICTURE, "count": 2}, headers)
    row = "SELECT 1 FROM generation_tasks WHERE request_id = %s"
    with killing(installation, ("generation", "gateway"), once=lambda: is_there(installation, "generation", row, key)):
        answers = asyncio.run(asked_at_once(wish, [installation.url, replica]))
    assert all(answer.status_code == 202 for answer in answers), Counter(answer.status_code for answer in answers)
    (task_id,) = {answer.json()["id"] for answer in answers}
    not_replayed = [answer for answer in answers if answer.headers.get("idempotent-replayed") != "true"]
    assert len(not_replayed) <= 1, "none if its answer was the one that was lost"

    task = account.until(task_id, "completed")
    assert [result["index"] for result in task["results"]] == [0, 1]
    history = account.http.get("/api/v1/generation/history").raise_for_status().json()["tasks"]
    assert [item["id"] for item in history] == [task_id]

    for process in ("generation", "gateway", "envoy"):
        restart(installation, process)
    for url in (installation.url, replica):
        repeated = asyncio.run(asked(wish, url))
        assert (repeated.status_code, repeated.json()["id"]) == (202, task_id)
        assert repeated.headers["idempotent-replayed"] == "true"
        other = asyncio.run(asked(Wish(wish.path, {**wish.body, "prompt": "another fox"}, headers), url))
        assert (other.status_code, other.json()["code"]) == (422, "request_id_reused")


def test_200_duplicates_make_one_api_key_whose_secret_is_shown_once_at_most(installation, replica):
    account, key = Account(installation), str(uuid4())
    headers = {"Idempotency-Key": key, "authorization": f"Bearer {account.token}"}
    wish = Wish("/api/v1/auth/keys", {"name": "mine", "scopes": ["read"]}, headers)
    row = "SELECT 1 FROM api_keys WHERE request_id = %s"
    with killing(installation, ("auth",), once=lambda: is_there(installation, "auth", row, key)):
        answers = asyncio.run(asked_at_once(wish, [installation.url, replica]))
    assert all(answer.status_code == 201 for answer in answers), Counter(answer.status_code for answer in answers)
    (key_id,) = {answer.json()["id"] for answer in answers}
    shown = [answer for answer in answers if answer.json()["key"]]
    assert len(shown) <= 1, "none if its answer was the one that was lost"
    assert all(answer.json()["secret_shown"] is (answer in shown) for answer in answers)
    assert all((answer.headers.get("idempotent-replayed") == "true") is (answer not in shown) for answer in answers)
    assert [item["id"] for item in account.http.get("/api/v1/auth/keys").json()["keys"]] == [key_id]
    other = asyncio.run(asked(Wish(wish.path, {**wish.body, "name": "yours"}, headers), installation.url))
    assert (other.status_code, other.json()["code"]) == (422, "request_id_reused")


def test_duplicates_of_a_registration_make_one_account(installation, replica):
    key, name = str(uuid4()), f"user-{uuid4().hex[:12]}"
    body = {"username": name, "email": f"{name}@example.com", "password": "a password of mine"}
    wish = Wish("/api/v1/auth/register", body, {"Idempotency-Key": key})
    row = "SELECT 1 FROM users WHERE request_id = %s"
    with killing(installation, ("auth",), once=lambda: is_there(installation, "auth", row, key)):
        # Each costs a hash of a password, so not so many at once.
        answers = asyncio.run(asked_at_once(wish, [installation.url, replica], duplicates=20))
    assert {answer.status_code for answer in answers} == {201}, Counter(answer.status_code for answer in answers)
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len([answer for answer in answers if answer.headers.get("idempotent-replayed") != "true"]) <= 1
    for change in ({"email": f"{name}@example.org"}, {"password": "another password of mine"}):
        other = asyncio.run(asked(Wish(wish.path, {**body, **change}, wish.headers), installation.url))
        assert (other.status_code, other.json()["code"]) == (422, "request_id_reused"), change


class Wish:
    """One request, and how often it went unanswered."""

    def __init__(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        self.path = path
        self.body = body
        self.headers = headers
        self.unanswered = 0


async def asked_at_once(wish: Wish, urls: list[str], duplicates: int = DUPLICATES) -> list[httpx.Response]:
    """Every duplicate's answer; some of them must have been lost on the way at first."""
    answers = await asyncio.gather(*(asked(wish, urls[number % len(urls)]) for number in range(duplicates)))
    assert wish.unanswered, "nothing died in the middle"
    return answers


async def asked(wish: Wish, url: str) -> httpx.Response:
    """As a careful client does it: again with the same key until it is told what became of it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with httpx.AsyncClient(base_url=url, timeout=20) as http:
        while True:
            try:
                answer = await http.post(wish.path, json=wish.body, headers=wish.headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code not in TRY_LATER:
                return answer
            wish.unanswered += 1
            assert time.monotonic() < deadline, answer
            await asyncio.sleep(0.3)


@contextmanager
def killing(installation: Installation, processes: tuple[str, ...], once: Callable[[], bool]) -> Iterator[None]:
    """Kills them as soon as that is so: the thing is there, and most who asked for it have not been told."""

    def kill() -> None:
        until(once)
        for process in processes:
            installation.kill(process)

    thread = threading.Thread(target=kill)
    thread.start()
    yield
    thread.join()


def is_there(installation: Installation, context: str, query: str, value: str) -> bool:
    with (
        closing(psycopg2.connect(installation.database_url(context).replace("+psycopg2", ""))) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(query, [value])
        return cursor.fetchone() is not None


def restart(installation: Installation, process: str) -> None:
    pid = installation.pid(process)
    installation.kill(process)
    until(lambda: installation.pid(process) not in (pid, None))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _status(url: str) -> int:
    try:
        return httpx.get(url).status_code
    except httpx.TransportError:
        return 0
