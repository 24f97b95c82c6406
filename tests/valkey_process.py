"""A real Valkey in a process of its own, to kill and to start again. It keeps nothing."""

import subprocess
from types import TracebackType
from typing import Self

import redis

from deploy.local import wheels


class ValkeyProcess:
    """Context manager; it answers at `url` when `start` returns."""

    def __init__(self, port: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        command = [wheels.valkey_server(), "--port", str(port), "--bind", "127.0.0.1"]
        self._command = [*command, "--save", "", "--appendonly", "no"]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    assert self._process.poll() is None, "valkey-server did not start"

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
