"""Everything, as `make run` starts it, to be used and to be hurt."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from deploy.local.ports import reserved_ports

UNLIMITED = {
    "GATEWAY_RATE_LIMIT_PER_USER": "1000000",
    "GATEWAY_RATE_LIMIT_PER_ADDRESS": "1000000",
    "AUTH_ADDRESS_REGISTRATIONS": "1000000",
    "AUTH_ADDRESS_FAILURES": "1000000",
    "AUTH_ACCOUNT_FAILURES": "1000000",
}
"""Everything is counted, and nobody is refused for asking often."""

CLIENT_FILES = "CLIENT_FILES"
"""The variable that may name a folder for what browsers load. All installations of a test run have it from there:
each would take four seconds of a core to compress the same files.
"""

PROJECT = Path(__file__).parents[1]
_START_SECONDS = 120
_SIZES = ("SKETCHES", "REPLICAS")


@dataclass(frozen=True)
class Installation:
    """A running launcher; None if it is another process's child."""

    url: str
    data: Path
    launcher: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.data / "launcher.log"

    @property
    def models(self) -> Path:
        """A folder of its own with the presets."""
        return self.data / "models"

    @property
    def pictures(self) -> Path:
        """The folder that results stores in."""
        return self.data / "pictures"

    @property
    def processes(self) -> dict[str, Any]:
        """By name: {"pid": None while it is down, "address": …}."""
        return json.loads((self.data / "run" / "processes.json").read_text())["processes"]

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20)

    def pid(self, process: str) -> int | None:
        return self.processes[process]["pid"]

    def kill(self, process: str, number: signal.Signals = signal.SIGKILL) -> None:
        pid = self.pid(process)
        assert pid is not None, f"{process} is not running"
        os.kill(pid, number)

    @contextmanager
    def kept_down(self, process: str) -> Iterator[None]:
        """Kill it as often as the launcher starts it again."""
        done = threading.Event()

        def keep_it_down() -> None:
            while not done.is_set():
                if pid := self.pid(process):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)

        thread = threading.Thread(target=keep_it_down)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def database_url(self, context: str) -> str:
        """Of a context's own database, for its own role."""
        password = self.secret(f"{context}_database_password")
        return f"postgresql+psycopg2://{context}:{password}@{self.processes['postgres']['address']}/{context}"

    @property
    def redis_url(self) -> str:
        return f"redis://:{self.secret('redis_password')}@{self.processes['valkey']['address']}/0"

    def secret(self, name: str) -> str:
        return json.loads((self.data / "secrets.json").read_text())[name]


@contextmanager
def running_installation(data: Path, project: Path = PROJECT, **settings: str) -> Iterator[Installation]:
    """Starts the launcher on an empty folder and waits until a model is available; `settings` are its environment.

    Every part is embedded, whatever the caller's environment says, but for those that the settings replace. The code
    is that of `project`, which may be another revision's tree.
    """
    models = shutil.copytree(project / "services" / "executor" / "models", data / "models")
    if folder := os.environ.get(CLIENT_FILES):
        _lay_client_ready(Path(folder), data / "app")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.endswith("_URL") and name not in _SIZES},
        "PYTHONPATH": os.pathsep.join([str(project), str(project / "protos" / "gen")]),
        "EXECUTOR_MODELS_DIR": str(models),
        **settings,
    }
    # Held to the end: the launcher, which chooses its own ports, must not choose this one for another of its parts.
    with reserved_ports(["public"]) as ports, (data / "launcher.log").open("wb") as output:
        command = [sys.executable, "-m", "deploy.local", "--port", str(ports["public"]), "--data-dir", str(data)]
        launcher = subprocess.Popen(command, cwd=project, env=environment, stdout=output, stderr=output)
        installation = Installation(f"http://127.0.0.1:{ports['public']}", data, launcher)
        try:
            _await_ready(installation, launcher)
            yield installation
        finally:
            launcher.terminate()
            launcher.wait(60)


def _lay_client_ready(shared: Path, folder: Path) -> None:
    """As the client's web process leaves its folder. Whoever comes first makes it, and the others wait."""
    from app.web.files import compress, lay_ready  # with all of Flet, which few tests need

    with shared.joinpath("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        compress(lay_ready(shared / "app"))
    shutil.copytree(shared / "app", folder)


def _await_ready(installation: Installation, launcher: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while "ImageGen is ready" not in installation.log.read_text():
        assert launcher.poll() is None, installation.log.read_text()[-5000:]
        assert time.monotonic() < deadline, installation.log.read_text()[-5000:]
        time.sleep(0.1)
    with installation.client() as http:
        while not any(model["available"] for model in http.get("/api/v1/models").json()["models"]):
            assert time.monotonic() < deadline, "no model became available"
            time.sleep(0.1)
