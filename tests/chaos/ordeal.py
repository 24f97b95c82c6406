"""The whole: an installation, people who use it, and what is done to it meanwhile."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.engines import Engine
from tests.chaos.faults import GRACE_SECONDS, LEASE_SECONDS, Fault, schedule
from tests.chaos.injector import Injector
from tests.chaos.people import Person, wishes
from tests.chaos.verdict import Verdict, judge
from tests.installation import Installation, running_installation

_STEP_SECONDS = 1.2  # of 512x512 pixels: a picture of 64x64 in four steps takes 0.6 s, so that faults find it begun
_RETURN_SECONDS = 20.0  # the launcher waits up to five before it starts again what keeps crashing


@dataclass(frozen=True)
class Size:
    """How much happens, and over how many seconds."""

    tasks: int
    users: int
    faults: int
    seconds: float
    engines: int = 2
    settle_seconds: float = 180.0


@dataclass(frozen=True)
class Account:
    """What was done, and what became of it. `missed` found no victim. `log` is the installation's."""

    faults: Sequence[Fault]
    missed: Sequence[Fault]
    verdict: Verdict
    log: str


def undergo(data: Path, size: Size, seed: int, *, tell: Callable[[str], None] = lambda _: None) -> Account:
    """Starts an installation on the folder, hurts it and judges it. Faults and wishes follow from the seed."""
    with ExitStack() as parts:
        engines = [parts.enter_context(Engine(step_seconds=_STEP_SECONDS)) for _ in range(size.engines)]
        installation = parts.enter_context(
            running_installation(
                data,
                COMFYUI_URL=",".join(engine.url for engine in engines),
                EXECUTOR_LEASE_SECONDS=str(LEASE_SECONDS),
                EXECUTOR_GRACE_SECONDS=str(GRACE_SECONDS),
                GATEWAY_RATE_LIMIT_PER_USER="0",  # whoever tries again and again while all is down is no attacker
            )
        )
        injector = Injector(installation, engines)
        faults = schedule(seed, size.faults, size.seconds, injector.victims)
        for fault in faults:
            tell(str(fault))
        verdict = asyncio.run(_live(installation, injector, faults, size, seed))
        verdict.violations += [f"{name} has not come back" for name in _still_absent(injector)]
        return Account(faults, injector.missed, verdict, installation.log.read_text())


async def _live(
    installation: Installation, injector: Injector, faults: Sequence[Fault], size: Size, seed: int
) -> Verdict:
    people = await asyncio.gather(*(Person.register(installation.url) for _ in range(size.users)))
    try:
        async with asyncio.TaskGroup() as doings:
            doings.create_task(asyncio.to_thread(injector.run, faults))
            for number, person in enumerate(people):
                share = size.tasks // size.users + (number < size.tasks % size.users)
                wanted = wishes(seed * 1000 + number, share, size.seconds)
                doings.create_task(person.live(wanted, until=size.seconds + size.settle_seconds))
        return await judge(installation, people, within=size.settle_seconds)
    finally:
        injector.stop()
        for person in people:
            await person.http.aclose()


def _still_absent(injector: Injector) -> list[str]:
    deadline = time.monotonic() + _RETURN_SECONDS
    while (absent := injector.absent) and time.monotonic() < deadline:
        time.sleep(0.1)
    return absent
