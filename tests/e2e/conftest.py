"""Everything, as `make run` starts it: one installation for all journeys."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from deploy.local.ports import reserved_ports

PROJECT = Path(__file__).parents[2]
START_SECONDS = 120


@dataclass
class Installation:
    """A running launcher."""

    url: str
    data: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20)

    def pid(self, process: str) -> int | None:
        status = json.loads((self.data / "run" / "processes.json").read_text())
        return status["processes"][process]["pid"]

    def kill(self, process: str, number: signal.Signals = signal.SIGKILL) -> None:
        pid = self.pid(process)
        assert pid is not None, f"{process} is not running"
        os.kill(pid, number)


class Person:
    """Somebody with an account, signed in."""

    def __init__(self, installation: Installation) -> None:
        self.http = installation.client()
        self.name = f"user-{uuid4().hex[:12]}"
        account = {"username": self.name, "email": f"{self.name}@example.com", "password": "correct horse battery"}
        self.http.post("/api/v1/auth/register", json=account).raise_for_status()
        login = self.http.post("/api/v1/auth/login", json={"username": self.name, "password": account["password"]})
        self.tokens = login.raise_for_status().json()
        self.http.headers["authorization"] = f"Bearer {self.tokens['access_token']}"

    def generate(self, prompt: str = "a lighthouse", **fields: object) -> dict:
        body = {"prompt": prompt, "model": "sd15", "width": 64, "height": 64, "steps": 4, **fields}
        answer = self.http.post("/api/v1/generation/generate", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def task(self, task_id: str) -> dict:
        return self.http.get(f"/api/v1/generation/tasks/{task_id}").raise_for_status().json()

    def ended(self, task_id: str, *, within: float = 120) -> dict:
        """Ask until the task has ended, whatever is down meanwhile."""
        deadline = time.monotonic() + within
        while True:
            try:
                task = self.task(task_id)
                if task["status"] in ("completed", "failed", "canceled") and not task["results_unavailable"]:
                    return task
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, f"task {task_id} has not ended"
            time.sleep(0.2)

    def picture(self, result: dict) -> bytes:
        """As a plain <img> loads it: without a token."""
        return httpx.get(result["image_url"], timeout=20).raise_for_status().content


@pytest.fixture(scope="session")
def installation(tmp_path_factory) -> Iterator[Installation]:
    data = tmp_path_factory.mktemp("installation")
    with reserved_ports(["public"]) as ports:
        port = ports["public"]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.endswith("_URL")},  # embedded parts only
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "protos" / "gen")]),
        "SKETCH_STEP_SECONDS": "0.05",
        "SKETCH_LOAD_SECONDS": "0.05",
        "EXECUTOR_LEASE_SECONDS": "3",
        "EXECUTOR_GRACE_SECONDS": "5",
    }
    command = [sys.executable, "-m", "deploy.local", "--port", str(port), "--data-dir", str(data)]
    log = data / "launcher.log"
    with log.open("wb") as output:
        launcher = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_SECONDS
        while "ImageGen is ready" not in log.read_text():
            assert launcher.poll() is None, log.read_text()[-5000:]
            assert time.monotonic() < deadline, log.read_text()[-5000:]
            time.sleep(0.1)
        installation = Installation(f"http://127.0.0.1:{port}", data)
        with installation.client() as http:
            while not any(model["available"] for model in http.get("/api/v1/models").json()["models"]):
                assert time.monotonic() < deadline, "no model became available"
                time.sleep(0.1)
        yield installation
    finally:
        launcher.terminate()
        launcher.wait(60)


@pytest.fixture
def sign_up(installation) -> Iterator[Callable[[], Person]]:
    """Register somebody new and sign in."""
    with ExitStack() as people:

        def new_person() -> Person:
            person = Person(installation)
            people.callback(person.http.close)
            return person

        yield new_person


@pytest.fixture
def person(sign_up) -> Person:
    return sign_up()
