"""The processes under measurement, each as it is deployed, on a disk that keeps what it is told (fsync is on)."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from deploy.local import wheels
from deploy.local.ports import LOOPBACK, reserved_ports
from deploy.local.postgres import Postgres
from deploy.local.readiness import Check, NotReady, answers, connects, exists, has_databases, serves
from deploy.local.watchdog import guarded_group
from services.runtime.tokens import encode_key
from tests.identities import SERVICES, public_key, seed

PROJECT = Path(__file__).resolve().parents[2]
CONTEXTS = ("executor", "results")
START_SECONDS = 60.0

_PASSWORD = "bench"  # of a database that listens on loopback for two minutes


class Parts:
    """Everything but the worker runs for the length of `running`; a worker for the length of `worker`."""

    def __init__(self, folder: Path, models: Path, ports: Mapping[str, int], group: int, comfyui_url: str) -> None:
        self.folder = folder
        self._models = models
        self._group = group
        self._addresses = {name: f"{LOOPBACK}:{port}" for name, port in ports.items()}
        self._postgres = Postgres(folder / "postgres", ports["postgres"], _PASSWORD)
        self._embeds_engine = not comfyui_url
        self.engine_url = comfyui_url or f"http://{self._addresses['sketch']}"
        self.executor_address = self._addresses["executor"]
        self.pids: dict[str, int] = {}
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start all but the worker. Raises RuntimeError, with the end of its log, if a part does not start."""
        self._postgres.initialise()
        passwords = dict.fromkeys(CONTEXTS, _PASSWORD)
        self._start("postgres", self._postgres.command, os.environ, has_databases(self._postgres, passwords))
        urls = {f"{context.upper()}_DATABASE_URL": self._database_url(context) for context in CONTEXTS}
        subprocess.run(_module("services.runtime.migrate", *CONTEXTS), env={**self._python(), **urls}, check=True)
        valkey = (wheels.valkey_server(), "--port", self._addresses["valkey"].rpartition(":")[2], "--bind", LOOPBACK)
        self._start(
            "valkey",
            (*valkey, "--save", "", "--appendonly", "no"),
            os.environ,
            connects(self._addresses["valkey"]),
        )
        if self._embeds_engine:
            port = self._addresses["sketch"].rpartition(":")[2]
            self._start(
                "engine",
                _module("services.executor.sketch", "--port", port, "--base-directory", str(self.folder / "sketch")),
                self._python(),
                answers(self._addresses["sketch"], "/system_stats"),
            )
        self._start_service("executor", {"EXECUTOR_MODELS_DIR": str(self._models), "REDIS_URL": self._redis_url})
        (self.folder / "pictures").mkdir()
        self._start_service(
            "results",
            {
                "RESULTS_STORE_URL": (self.folder / "pictures").as_uri(),
                "RESULTS_SIGNING_KEY": encode_key(bytes(32)),
            },
        )

    @contextmanager
    def worker(self, *command: str) -> Iterator[None]:
        """One worker, told to stop at the end; started by a Python command of one's own if one is given."""
        ready_file = self.folder / "worker.ready"
        ready_file.unlink(missing_ok=True)
        environment = {
            **self._python(),
            "EXECUTOR_DATABASE_URL": self._database_url("executor"),
            "EXECUTOR_ENGINE_ID": str(uuid4()),
            "EXECUTOR_MODELS_DIR": str(self._models),
            "EXECUTOR_READY_FILE": str(ready_file),
            "REDIS_URL": self._redis_url,
            "RESULTS_ADDRESS": self._addresses["results"],
            "COMFYUI_URL": self.engine_url,
            "SERVICE_KEY_WORKER": seed("worker"),
        }
        if self._embeds_engine:
            environment["COMFYUI_OUTPUT_DIR"] = str(self.folder / "sketch" / "output")
        process = self._start("worker", command or _module("services.executor.worker"), environment, exists(ready_file))
        try:
            yield
        finally:
            process.terminate()
            process.wait(START_SECONDS)
            del self.pids["worker"]

    def stop(self) -> None:
        for process in reversed(self._running):
            process.kill()
            process.wait()

    def _start_service(self, name: str, settings: Mapping[str, str]) -> None:
        environment = {
            **self._python(),
            **settings,
            f"{name.upper()}_DATABASE_URL": self._database_url(name),
            f"{name.upper()}_LISTEN": self._addresses[name],
            "AUTH_ADDRESS": f"{LOOPBACK}:1",  # nobody: only services call here, with tokens of their own
            "SERVICE_PUBLIC_KEYS": ",".join(map(public_key, SERVICES)),
            f"SERVICE_KEY_{name.upper()}": seed(name),
        }
        self._start(name, _module(f"services.{name}.main"), environment, serves(self._addresses[name]))

    def _start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], ready: Check
    ) -> subprocess.Popen[bytes]:
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command, env=environment, cwd=PROJECT, stdout=output, stderr=output, process_group=self._group
            )
        self._running.append(process)
        self.pids[name] = process.pid
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                ready()
            except NotReady as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} does not start:\n{log.read_text()[-3000:]}") from error
                time.sleep(0.05)
            else:
                return process

    def _database_url(self, context: str) -> str:
        return self._postgres.url(context, _PASSWORD)

    @property
    def _redis_url(self) -> str:
        return f"redis://{self._addresses['valkey']}/0"

    def _python(self) -> dict[str, str]:
        system = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {**system, "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "protos" / "gen")])}


@contextmanager
def running(models: Path, comfyui_url: str = "") -> Iterator[Parts]:
    """The parts, for this folder of models; an engine of the caller's takes the place of sketch."""
    with (
        tempfile.TemporaryDirectory(prefix="imagegen-bench-", ignore_cleanup_errors=True) as folder,
        reserved_ports(["postgres", "valkey", "sketch", *CONTEXTS]) as ports,
        guarded_group() as group,
    ):
        parts = Parts(Path(folder), models, ports, group, comfyui_url)
        try:
            parts.start()
            yield parts
        finally:
            parts.stop()


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)
