"""What can be done to whom, and the schedule of it, which follows from a seed alone."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import TypeVar

_Card = TypeVar("_Card")


class Kind(StrEnum):
    KILL = "kill -9"
    FREEZE = "freeze"
    OVERSLEEP = "oversleep"  # frozen until its lease and its grace are over and the job is somebody else's
    TERMINATE = "terminate"  # SIGTERM, and SIGKILL to who is still there after the grace, as in a rollout
    INTERRUPT = "interrupt"  # SIGINT: PostgreSQL's fast shutdown
    FLUSH = "flush"
    ZOMBIE = "zombie"  # it answers, but its queue stands still
    EXIT = "exit"  # in the middle of a run
    OUT_OF_MEMORY = "out of memory"
    DELAY = "delay"
    CUT = "cut"
    DROP = "drop"
    HALF_OPEN = "half-open"
    TRUNCATE = "truncate"


_SERVICE = (Kind.KILL, Kind.FREEZE, Kind.TERMINATE)
KINDS: Mapping[str, Sequence[Kind]] = {
    "worker": (Kind.KILL, Kind.OVERSLEEP, Kind.FREEZE, Kind.TERMINATE),
    "engine": (Kind.KILL, Kind.FREEZE, Kind.ZOMBIE, Kind.EXIT, Kind.OUT_OF_MEMORY),
    "link": (Kind.HALF_OPEN, Kind.DELAY, Kind.CUT, Kind.DROP, Kind.TRUNCATE),
    "executor": _SERVICE,
    "generation": _SERVICE,
    "results": _SERVICE,
    "auth": _SERVICE,
    "gateway": _SERVICE,
    "envoy": (Kind.KILL, Kind.FREEZE),
    "valkey": (Kind.KILL, Kind.FREEZE, Kind.FLUSH),
    "postgres": (Kind.KILL, Kind.INTERRUPT, Kind.TERMINATE),
}
"""A group of victims → what is done to its members, the hardest first. A link is the network before an engine."""

LEASE_SECONDS = 3
GRACE_SECONDS = 5

_SPANS: Mapping[Kind, tuple[float, float]] = {
    Kind.FREEZE: (0.5, 3.0),
    Kind.OVERSLEEP: (LEASE_SECONDS + GRACE_SECONDS + 2, LEASE_SECONDS + GRACE_SECONDS + 4),
    Kind.TERMINATE: (2.0, 6.0),
    Kind.INTERRUPT: (2.0, 2.0),
    Kind.ZOMBIE: (4.0, 8.0),
    Kind.EXIT: (1.0, 3.0),
    Kind.DELAY: (1.0, 4.0),
    Kind.DROP: (0.5, 3.0),
    Kind.HALF_OPEN: (1.0, 8.0),
    Kind.TRUNCATE: (1.0, 3.0),
}


@dataclass(frozen=True, order=True)
class Fault:
    """What is done to one victim.

    Attributes:
        at: seconds after the beginning.
        seconds: how long it lasts; 0 if it is over at once.
        severity: 0 to 1: of a delay, and of what is truncated.
    """

    at: float
    victim: str
    kind: Kind
    seconds: float
    severity: float

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:6.1f} s  {self.victim:<12} {self.kind}{lasting}"


def schedule(seed: int, count: int, over_seconds: float, victims: Mapping[str, Sequence[str]]) -> list[Fault]:
    """Faults for the members of each group, evenly crowded over the time; none begins while its victim suffers.

    In each round every group is hit once: in the first by what its list begins with, then by all the kinds in turn.
    """
    chance = random.Random(seed)
    decks = {group: chain(KINDS[group][:1], _shuffled_for_ever(KINDS[group], chance)) for group in victims}
    groups = _shuffled_for_ever(list(victims), chance)
    suffers_until = dict.fromkeys([name for names in victims.values() for name in names], 0.0)
    faults = []
    for number in range(count):
        group = next(groups)
        victim, kind = chance.choice(victims[group]), next(decks[group])
        at = max((number + chance.random()) * over_seconds / count, suffers_until[victim])
        seconds = chance.uniform(*_SPANS.get(kind, (0, 0)))
        suffers_until[victim] = at + seconds
        faults.append(Fault(round(at, 2), victim, kind, round(seconds, 2), round(chance.random(), 3)))
    return sorted(faults)


def _shuffled_for_ever(cards: Sequence[_Card], chance: random.Random) -> Iterator[_Card]:
    while True:
        yield from chance.sample(cards, len(cards))
