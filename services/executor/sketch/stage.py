"""What a running node may touch: its own place in the prompt, the clock, the interrupt flag, the folders."""

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from services.executor.sketch.prompt_queue import Graph
from services.executor.sketch.settings import Settings

FAULT_KINDS = ("value", "oom", "exit", "zombie")


class Interrupted(Exception):
    """The run was told to stop."""


class OutOfMemoryError(RuntimeError):
    """Shaped like torch's: clients match the qualified name, so the module is torch's too."""

    __module__ = "torch"


def fail(kind: str) -> NoReturn:
    """Fail as asked.

    `value` and `oom` fail the run. `exit` ends the process as an out-of-memory kill does (recording 28).
    `zombie` ends the worker thread while HTTP stays green (docs/comfyui-protocol.md §7.1).
    """
    if kind == "exit":
        os._exit(1)
    if kind == "zombie":
        raise SystemExit
    if kind == "oom":
        raise OutOfMemoryError("Allocation on device 0 would exceed allowed memory. (out of memory)")
    raise ValueError("sketch: deliberate failure")


class Faults:
    """Failures on demand: armed ones for the next sampler runs, counted ones of SketchFail."""

    def __init__(self) -> None:
        self._armed: deque[str] = deque()
        self._counts: Counter[int] = Counter()

    def arm(self, kind: str, times: int) -> None:
        self._armed.extend([kind] * times)

    def strike(self) -> None:
        """Fail if a failure is armed, and disarm it."""
        if self._armed:
            fail(self._armed.popleft())

    def count(self, nonce: int) -> int:
        """How often this nonce was counted, this time included."""
        self._counts[nonce] += 1
        return self._counts[nonce]


@dataclass(frozen=True)
class Stage:
    """One node's view of the run it is part of."""

    settings: Settings
    faults: Faults
    graph: Graph
    extra_data: dict[str, Any]
    previews: bool
    interrupt: threading.Event
    report: Callable[[int, int, bytes | None], None]
    """Tell the clients: steps done, steps in all, an encoded picture if there is one."""
    say: Callable[[str], None]
    """Tell everybody a text (recording 15)."""

    def wait(self, until: float) -> None:
        """Sleep until that time on the monotonic clock.

        Raises:
            Interrupted: At once when the run is interrupted.
        """
        if self.interrupt.wait(max(0.0, until - time.monotonic())):
            raise Interrupted
