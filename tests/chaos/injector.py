"""Does to a running installation what a schedule says, and makes it good again."""

import heapq
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count

import httpx
import redis

from tests.chaos.engines import Engine
from tests.chaos.faults import KINDS, Fault, Kind
from tests.installation import Installation

_PATIENCE_SECONDS = 10.0  # a victim that is down from an earlier fault is hit when it is back
_PAINTERS = ("worker", "engine", "link")
_LOOK_SECONDS = 0.2

_Undo = Callable[[], None]


class _Missing(Exception):
    """The victim is not there just now."""


class Injector:
    """Hurts the processes of an installation by their names, `engine-1` and `link-1` for the first engine and so on.

    What has a part in painting is hurt while a picture is being painted, if one is within a few seconds.
    """

    def __init__(self, installation: Installation, engines: Sequence[Engine]) -> None:
        self._installation = installation
        self._engines = {f"engine-{number}": engine.sketch for number, engine in enumerate(engines, 1)}
        self._links = {f"link-{number}": engine.link for number, engine in enumerate(engines, 1)}
        self._hit: set[str] = set()
        self._stopping = threading.Event()
        self.missed: list[Fault] = []

    @property
    def victims(self) -> Mapping[str, list[str]]:
        """Every group of victims with its present members."""
        names = [*self._installation.processes, *self._engines, *self._links]
        return {group: [name for name in names if name.partition("-")[0] == group] for group in KINDS}

    @property
    def absent(self) -> list[str]:
        """Processes that have been hit and are not there now."""
        return [name for name in sorted(self._hit) if self._installation.pid(name) is None]

    def run(self, faults: Iterable[Fault]) -> None:
        """Blocks until the last fault is over, or until `stop`; what was begun is ended in either case."""
        begin, order = time.monotonic(), count()
        due: list[tuple[float, int, Fault | _Undo]] = [(fault.at, next(order), fault) for fault in faults]
        heapq.heapify(due)
        while due:
            at, _, action = heapq.heappop(due)
            stopped = self._stopping.wait(max(0.0, begin + at - time.monotonic()))
            if not isinstance(action, Fault):
                action()
                continue
            if stopped:
                continue
            now = time.monotonic() - begin
            is_late = now - action.at >= _PATIENCE_SECONDS
            undo = self._try(action) if is_late or self._is_at_work(action.victim) else None
            if undo:
                heapq.heappush(due, (time.monotonic() - begin + action.seconds, next(order), undo))
            elif is_late:
                self.missed.append(action)
            else:
                heapq.heappush(due, (now + _LOOK_SECONDS, next(order), action))

    def stop(self) -> None:
        self._stopping.set()

    def _is_at_work(self, victim: str) -> bool:
        """Whether its engine paints; always, if it has none."""
        group, _, number = victim.partition("-")
        if group not in _PAINTERS:
            return True
        try:
            queue = httpx.get(f"{self._engines[f'engine-{number or 1}'].url}/queue", timeout=1).json()
        except httpx.HTTPError:
            return False
        return bool(queue["queue_running"])

    def _try(self, fault: Fault) -> _Undo | None:
        """Begins it and returns what ends it; None if its victim is not there."""
        with suppress(_Missing, ProcessLookupError):
            return self._inflict(fault)
        return None

    def _inflict(self, fault: Fault) -> _Undo:
        """Raises _Missing or ProcessLookupError."""
        if fault.victim in self._links:
            return self._disturb(fault)
        if fault.victim in self._engines:
            return self._hurt_engine(fault)
        if fault.kind is Kind.FLUSH:
            return self._flush()
        pid = self._installation.pid(fault.victim)
        if pid is None:
            raise _Missing
        self._hit.add(fault.victim)
        match fault.kind:
            case Kind.KILL:
                os.kill(pid, signal.SIGKILL)
            case Kind.FREEZE | Kind.OVERSLEEP:
                os.kill(pid, signal.SIGSTOP)
                return lambda: self._again(fault.victim, pid, signal.SIGCONT)
            case Kind.TERMINATE | Kind.INTERRUPT:
                os.kill(pid, signal.SIGTERM if fault.kind is Kind.TERMINATE else signal.SIGINT)
                return lambda: self._again(fault.victim, pid, signal.SIGKILL)
        return _nothing

    def _again(self, victim: str, pid: int, number: signal.Signals) -> None:
        """To the same process, if it still lives."""
        if self._installation.pid(victim) == pid:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _flush(self) -> _Undo:
        try:
            with redis.Redis.from_url(self._installation.redis_url, socket_timeout=2) as client:
                client.flushall()
        except redis.RedisError as error:
            raise _Missing from error
        return _nothing

    def _disturb(self, fault: Fault) -> _Undo:
        link = self._links[fault.victim]
        match fault.kind:
            case Kind.DELAY:
                link.delay(0.02 + fault.severity / 2)
            case Kind.CUT:
                link.cut()
            case Kind.DROP:
                link.drop()
            case Kind.HALF_OPEN:
                link.freeze()
            case Kind.TRUNCATE:
                link.truncate(int(10 + fault.severity * 20_000))
        return link.pass_on

    def _hurt_engine(self, fault: Fault) -> _Undo:
        engine = self._engines[fault.victim]
        match fault.kind:
            case Kind.KILL:
                engine.restart()
                return _nothing
            case Kind.FREEZE:
                engine.pause()
                return engine.resume
        armed = {Kind.ZOMBIE: "zombie", Kind.EXIT: "exit", Kind.OUT_OF_MEMORY: "oom"}[fault.kind]
        try:
            httpx.post(f"{engine.url}/sketch/faults", json={"kind": armed, "times": 1}, timeout=2).raise_for_status()
        except httpx.HTTPError as error:
            raise _Missing from error
        return _nothing if fault.kind is Kind.OUT_OF_MEMORY else engine.restart


def _nothing() -> None:
    """What is over at once, or heals by itself."""
