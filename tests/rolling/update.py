"""The update itself: each replica is told to stop, ends, starts anew, and is given the time to be found."""

import asyncio
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.installation import REPLICATED
from deploy.local.replicas import replica_names
from tests.installation import UNLIMITED, Installation, running_installation
from tests.rolling.people import Person, Tally

FOUND_SECONDS = 2.0
"""From a replica's readiness until each caller uses it: channels try one that was away anew after 1.2 s at most, Envoy
looks every second. Kubernetes' word for it is `minReadySeconds`."""

_REPLACED_SECONDS = 90.0
_REPLICAS = 2
_ENGINES = 2

SETTINGS = {
    **UNLIMITED,
    "REPLICAS": str(_REPLICAS),
    "SKETCHES": str(_ENGINES),
    "SKETCH_STEP_SECONDS": "0.05",
    "SKETCH_LOAD_SECONDS": "0.1",
}
"""Of an installation in which everything that may be replaced has another one that goes on."""

Steps = Sequence[Sequence[str]]
"""Names of processes: those of one step are replaced at the same time."""

ONE_BY_ONE: Steps = [
    *([name] for service in REPLICATED for name in replica_names(service, _REPLICAS)),
    *([name] for name in replica_names("worker", _ENGINES)),
]
HALF_BY_HALF: Steps = [
    [f"{service}-2" for service in (*REPLICATED, "worker")],
    [*REPLICATED, "worker"],
]


@dataclass(frozen=True)
class Replaced:
    """One process that was replaced: seconds from SIGTERM to its end, and from there until its successor was ready."""

    name: str
    ending: float
    starting: float


@dataclass(frozen=True)
class Account:
    """Attributes:
    served: by process, the calls and requests that it answered.
    """

    tally: Tally
    replaced: Sequence[Replaced]
    served: Counter[str]


def roll(data: Path, users: int, steps: Steps, *, tell: Callable[[str], None] = lambda _: None) -> Account:
    """Updates an installation that `users` people use from before the first step until after the last one."""
    with running_installation(data, **SETTINGS) as installation:
        return asyncio.run(_roll(installation, users, steps, tell))


async def _roll(installation: Installation, users: int, steps: Steps, tell: Callable[[str], None]) -> Account:
    tally = Tally()
    async with crowd(installation.url, users, tally):
        replaced = await replace_all(installation, steps, tell)
    return Account(tally, replaced, answered_by(installation))


@asynccontextmanager
async def crowd(url: str, users: int, tally: Tally) -> AsyncIterator[None]:
    """People who use it for as long as this lasts, and then see to the end of what they have begun."""
    people = [Person(url, tally) for _ in range(users)]
    for person in people:
        await person.sign_up()
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for person in people:
            tasks.create_task(person.use(enough))
        yield
        enough.set()


async def replace_all(installation: Installation, steps: Steps, tell: Callable[[str], None]) -> Sequence[Replaced]:
    replaced: list[Replaced] = []
    for step in steps:
        for one in await asyncio.gather(*(asyncio.to_thread(_replace, installation, name) for name in step)):
            tell(f"{one.name} ended after {one.ending:.1f} s, was ready again {one.starting:.1f} s later")
            replaced.append(one)
        await asyncio.sleep(FOUND_SECONDS)
    return replaced


def answered_by(installation: Installation) -> Counter[str]:
    """By process, the calls and requests that it answered."""
    return Counter(
        re.findall(r"^(\S+) +\| .* (?:call code|request method)=", installation.log.read_text(), re.MULTILINE)
    )


def _replace(installation: Installation, name: str) -> Replaced:
    former = installation.pid(name)
    readiness = f"| {name} ready in"
    before = installation.log.read_text().count(readiness)
    began = time.monotonic()
    installation.kill(name, signal.SIGTERM)
    _until(lambda: installation.pid(name) != former, f"{name} does not end")
    ended = time.monotonic()
    _until(lambda: installation.log.read_text().count(readiness) > before, f"{name} does not come back")
    return Replaced(name, ended - began, time.monotonic() - ended)


def _until(done: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _REPLACED_SECONDS
    while not done():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)
