"""Who is next: start-time fair queueing in GPU-seconds, ordering owners and not jobs.

An owner who had nothing waiting arrives at the clock V: idle time earns no credit. On a claim `start = owner.vtime`,
but never further behind V than MOST_LAG, and then `owner.vtime = start + cost / weight`; V is the largest start claimed
so far. The smallest start is next.
(Goyal, Vin, Cheng: Start-time Fair Queuing, SIGCOMM 1996.)

Each engine has a V of its own, and an owner arrives at the largest among the engines that have the model. One V for
all would be driven by whichever GPUs are free the soonest: where others share no model with them, everybody who waits
would fall behind it as far as MOST_LAG and be served in order of arrival.

A job whose model the worker would have to load starts later by a handicap in proportion to that load, so a worker
changes its model only when somebody has fallen behind by more than the change costs. That is all of model affinity,
and it is bounded: V moves on while somebody waits, and a start does not.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from services.executor.domain import JobId, OwnerId

LOADS_WORTH_WAITING = 2.0
"""How many times the seconds of a load an owner may fall behind before a worker changes its model for them."""

MOST_HANDICAP = 120.0
"""GPU-seconds. However slow a model loads, an owner does not fall behind further than this."""

MOST_LAG = 2 * MOST_HANDICAP
"""GPU-seconds that an owner may be behind V: who waited for a model that nobody had catches up by this and no more.

More than the handicap, or else V would drag a waiting owner's start along and the handicap would never be used up.
"""


@dataclass(frozen=True)
class Account:
    """An owner's account: virtual time in GPU-seconds per unit of weight; most leases at once, None for no cap."""

    owner_id: OwnerId
    vtime: float = 0.0
    weight: float = 1.0
    running_cap: int | None = None

    def arrive(self, clock: float) -> "Account":
        """A job comes while none of the owner's waits.

        What the owner had of other engines, where V is further, counts no more than MOST_LAG.
        """
        return replace(self, vtime=min(max(self.vtime, clock), clock + MOST_LAG))

    def charge(self, clock: float, cost: float) -> tuple["Account", float]:
        """Pay for a claim at the clock V; returns the account and the new V."""
        start = start_of(self.vtime, clock)
        return replace(self, vtime=start + cost / self.weight), max(clock, start)

    def settle(self, estimated: float, used: float) -> "Account":
        """Correct a charge once the GPU-seconds that it really took are known."""
        return replace(self, vtime=max(0.0, self.vtime + (used - estimated) / self.weight))


@dataclass(frozen=True)
class Head:
    """The oldest waiting job of one owner for one model, with its owner's virtual time."""

    job_id: JobId
    model: str
    vtime: float
    queue_number: int
    created_at: datetime


def start_of(vtime: float, clock: float) -> float:
    """The start that a claim at the clock V gives."""
    return max(vtime, clock - MOST_LAG)


def handicap(load_seconds: float) -> float:
    """By how many GPU-seconds a job starts later on a worker that has to load its model."""
    return min(LOADS_WORTH_WAITING * load_seconds, MOST_HANDICAP)


def in_order(heads: Iterable[Head], clock: float, handicap_of: Callable[[str], float]) -> list[Head]:
    """The heads as a worker should claim them; `handicap_of` a model is zero if the worker has it loaded.

    Among equals the one that came first.
    """

    def rank(head: Head) -> tuple[float, int]:
        return start_of(head.vtime, clock) + handicap_of(head.model), head.queue_number

    return sorted(heads, key=rank)
