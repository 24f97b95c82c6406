"""A real sketch in a process of its own, to talk to, to freeze and to kill."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

_ROOT = Path(__file__).parents[2]
_GREETING = "sketch listens on "


class SketchProcess:
    """Context manager that runs `python -m services.executor.sketch` on a free loopback port.

    The process is ready when the constructor's `with` block begins. Its folder outlives restarts, as the disk of
    a real machine does, and is deleted at the end; its complaints are in `log`.
    """

    def __init__(
        self, *arguments: str, step_seconds: float = 0.0, load_seconds: float = 0.0, faults: bool = True
    ) -> None:
        self._arguments = [*arguments, f"--step-seconds={step_seconds}", f"--load-seconds={load_seconds}"]
        if faults:
            self._arguments.append("--faults")
        self._port = 0
        self.base_directory = Path(tempfile.mkdtemp(prefix="sketch-"))
        self.log = self.base_directory / "sketch.log"
        self.url = ""
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.base_directory)

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws"

    def start(self) -> None:
        """Start and wait until it listens; the port of the first start is kept for the later ones.

        Raises:
            RuntimeError: The process ended instead; the message is its log.
        """
        command = [sys.executable, "-m", "services.executor.sketch", f"--port={self._port}"]
        command += [f"--base-directory={self.base_directory}", *self._arguments]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command,
                cwd=_ROOT,
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        greeting = self.process.stdout.readline()
        if not greeting.startswith(_GREETING):
            self.kill()
            raise RuntimeError(self.log.read_text())
        self.url = greeting.removeprefix(_GREETING).strip()
        self._port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """SIGKILL, if it still runs; also works on a paused process."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        return self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill and start again: queue, history and numbers are gone, the files stay."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: nothing answers and nothing closes (docs/comfyui-protocol.md §5.7)."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def wait(self, timeout: float = 10) -> int:
        """Wait until the process ends by itself; returns the exit code."""
        assert self.process is not None
        code = self.process.wait(timeout)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _end(self, number: signal.Signals) -> int:
        self._signal(number)
        return self.wait()
