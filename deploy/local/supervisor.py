"""Keeps processes running: starts them by readiness, restarts what crashes, stops them in reverse."""

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.local.files import replace
from deploy.local.liveness import LOOK_SECONDS, Opinion, until_denied_twice
from deploy.local.log import Log
from deploy.local.readiness import Check, NotReady
from deploy.local.watchdog import guarded_group

_READY_SECONDS = 60.0  # from a start to readiness, imports from a cold disk included
_POLL_SECONDS = 0.05
_ATTEMPTS = 3  # of a process that was never ready, before the launcher gives up
_STABLE_SECONDS = 10.0  # who ran for so long is restarted at once
_LONGEST_DELAY_SECONDS = 5.0


class StartFailed(Exception):
    """A process could not be started; the text names it."""


@dataclass(frozen=True)
class Process:
    """One row of the process table.

    Attributes:
        ready: None for a process that runs to its end: it is ready when that was a good one.
        after: the processes that must have been ready before this one starts for the first time.
        address: `host:port` where it listens, if it does.
        prepare: called before each start, in a thread: makes the files that the process reads, and removes those
            by which an earlier run would make it look ready.
        alive: whether it works, asked from readiness on; a process that does not is killed and started again.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    ready: Check | None
    after: Sequence[str] = ()
    address: str | None = None
    prepare: Callable[[], object] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    alive: Opinion | None = None


class Supervisor:
    """Runs a process table. It is written in tiers, which stop from the last to the first."""

    def __init__(
        self,
        tiers: Sequence[Sequence[Process]],
        *,
        status: Path,
        public_url: str,
        log: Log,
        lock: int,
        grace_seconds: float = 10.0,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Names what to run.

        Args:
            tiers: the process table.
            status: a JSON file for tests and operators, kept true while this runs:
                {"public_url": …, "processes": {name: {"pid": null while it is down, "address": …}}}.
            public_url: for that file.
            log: where the processes' lines go, and the launcher's own.
            lock: a file descriptor that every process inherits.
            grace_seconds: from the signal that asks a process to stop to SIGKILL.
            look_seconds: between two looks at whether a process works.
        """
        self._tiers = tiers
        self._processes = [process for tier in tiers for process in tier]
        self._status = status
        self._public_url = public_url
        self._log = log
        self._lock = lock
        self._grace_seconds = grace_seconds
        self._look_seconds = look_seconds
        self._group = 0
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._outputs: set[asyncio.Task[None]] = set()
        self._was_ready = {process.name: asyncio.Event() for process in self._processes}

    async def run(self, when_ready: Callable[[], Awaitable[None]]) -> None:
        """Runs until it is cancelled, then stops everything in order; a second cancellation kills at once.

        Args:
            when_ready: called when every process has been ready.

        Raises:
            ExceptionGroup: of StartFailed.
        """
        with guarded_group() as self._group:
            try:
                async with asyncio.TaskGroup() as tasks:
                    for process in self._processes:
                        tasks.create_task(self._keep(process))
                    for was_ready in self._was_ready.values():
                        await was_ready.wait()
                    await when_ready()
            finally:
                await self._stop()

    async def _keep(self, process: Process) -> None:
        for name in process.after:
            await self._was_ready[name].wait()
        was_ready = self._was_ready[process.name]
        crashes = 0
        while True:
            started = time.monotonic()
            code = await self._run_once(process)
            if process.ready is None:
                if code != 0:
                    raise StartFailed(f"{process.name} failed ({_ending(code)}); see its lines above")
                was_ready.set()
                return
            crashes = 1 if time.monotonic() - started > _STABLE_SECONDS else crashes + 1
            if crashes == _ATTEMPTS and not was_ready.is_set():
                raise StartFailed(f"{process.name} does not start ({_ending(code)}); see its lines above")
            delay = 0 if crashes == 1 else min(_LONGEST_DELAY_SECONDS, 2 ** (crashes - 2))
            self._log.write("launcher", f"{process.name} ended ({_ending(code)}); again in {delay:g} s")
            await asyncio.sleep(delay)

    async def _run_once(self, process: Process) -> int:
        if process.prepare is not None:
            await asyncio.to_thread(process.prepare)
        child = await asyncio.create_subprocess_exec(
            *process.command,
            env=process.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            process_group=self._group,
            pass_fds=(self._lock,),
        )
        self._children[process.name] = child
        self._write_status()
        assert child.stdout is not None
        output = asyncio.create_task(self._log.copy(process.name, child.stdout))
        self._outputs.add(output)
        output.add_done_callback(self._outputs.discard)
        async with asyncio.TaskGroup() as attempt:
            probing = attempt.create_task(self._look_after(process, child))
            code = await child.wait()
            probing.cancel()
        del self._children[process.name]
        self._write_status()
        return code

    async def _look_after(self, process: Process, child: asyncio.subprocess.Process) -> None:
        """Kills the child if it is not ready in time, or stops working later."""
        if process.ready is None:
            return
        started = time.monotonic()
        problem = await self._wait_until_ready(process.ready)
        if problem is not None:
            self._log.write("launcher", f"{process.name} is not ready in time, killed: {problem}")
        else:
            self._log.write("launcher", f"{process.name} ready in {time.monotonic() - started:.1f} s")
            self._was_ready[process.name].set()
            if process.alive is None:
                return
            await until_denied_twice(process.alive, self._look_seconds)
            self._log.write("launcher", f"{process.name} does not work though it runs, killed")
        with suppress(ProcessLookupError):
            child.kill()

    async def _wait_until_ready(self, ready: Check) -> NotReady | None:
        """Returns why it is not ready, if it is not in time."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                await asyncio.to_thread(ready)
            except NotReady as problem:
                if time.monotonic() > deadline:
                    return problem
            else:
                return None
            await asyncio.sleep(_POLL_SECONDS)

    async def _stop(self) -> None:
        ends: list[asyncio.Task[object]] = []
        for tier in reversed(self._tiers):
            running = [(process, self._children[process.name]) for process in tier if process.name in self._children]
            if not running:
                continue
            for process, child in running:
                with suppress(ProcessLookupError):
                    child.send_signal(process.stop_signal)
            await asyncio.wait([asyncio.create_task(child.wait()) for _, child in running], timeout=self._grace_seconds)
            for process, child in running:
                if child.returncode is None:
                    self._log.write("launcher", f"{process.name} does not stop, killed")
                    child.kill()
                    ends.append(asyncio.create_task(child.wait()))
        if ends := [*ends, *self._outputs]:
            await asyncio.wait(ends, timeout=1)  # of the killed, and of what all have said; who still writes is next
        self._status.unlink(missing_ok=True)

    def _write_status(self) -> None:
        processes = {
            process.name: {
                "pid": self._children[process.name].pid if process.name in self._children else None,
                "address": process.address,
            }
            for process in self._processes
        }
        replace(self._status, json.dumps({"public_url": self._public_url, "processes": processes}, indent=2))


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
