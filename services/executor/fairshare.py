"""Who is next: start-time fair queueing in GPU-seconds, ordering owners and not jobs.

On a claim `start = max(owner.vtime, V)` and `owner.vtime = start + cost / weight`, where V is the largest start
claimed so far. An owner who was idle begins at V: idle time earns no credit. (Goyal, Vin, Cheng: Start-time Fair
Queuing, SIGCOMM 1996.)
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from services.executor.domain import JobId, OwnerId


@dataclass(frozen=True)
class Account:
    """An owner's account: virtual time in GPU-seconds per unit of weight."""

    owner_id: OwnerId
    vtime: float = 0.0
    weight: float = 1.0

    def charge(self, clock: float, cost: float) -> tuple["Account", float]:
        """Pay for a claim at the clock V; returns the account and the new V."""
        start = max(self.vtime, clock)
        return replace(self, vtime=start + cost / self.weight), max(clock, start)

    def settle(self, estimated: float, used: float) -> "Account":
        """Correct a charge once the GPU-seconds that it really took are known."""
        return replace(self, vtime=max(0.0, self.vtime + (used - estimated) / self.weight))


@dataclass(frozen=True)
class Head:
    """The oldest waiting job of one owner for one model."""

    job_id: JobId
    vtime: float
    queue_number: int


def in_order(heads: Iterable[Head], clock: float) -> list[JobId]:
    """The heads as they should be claimed: smallest start first, among equals the one that came first."""
    return [head.job_id for head in sorted(heads, key=lambda head: (max(head.vtime, clock), head.queue_number))]
