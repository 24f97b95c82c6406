"""Whether an engine that answers can be trusted with jobs: a circuit breaker.

trusted ──FAILURES of different jobs in a row──► quarantined ──its time is over──► on trial: one job at a time
▲                                                  ▲  └── twice as long each time      │
└───────────────────────── a run ends well ────────┴────── another failure ───────────┘
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.executor.domain import JobId

FAILURES = 3
"""One job may be poison and two may be chance."""

SHORTEST = timedelta(seconds=30)
LONGEST = timedelta(minutes=10)


@dataclass(frozen=True)
class Health:
    """Time is an argument; every event returns a new state."""

    failed: frozenset[JobId] = frozenset()
    quarantines: int = 0
    began_at: datetime | None = None
    until: datetime | None = None

    def succeed(self) -> "Health":
        """A run ended well."""
        return Health()

    def fail(self, job_id: JobId, now: datetime) -> "Health":
        """A run failed in a way that may be the engine's fault. In quarantine it is one that had begun before it."""
        if self.is_quarantined(now):
            return self
        failed = self.failed | {job_id}
        if len(failed) < FAILURES and self.until is None:
            return replace(self, failed=failed)
        length = min(SHORTEST * 2**self.quarantines, LONGEST)
        return Health(quarantines=self.quarantines + 1, began_at=now, until=now + length)

    def resume(self, at: datetime | None) -> "Health":
        """An operator said so at that time: what happened before does not count."""
        return Health() if at and self.began_at and at > self.began_at else self

    def is_quarantined(self, now: datetime) -> bool:
        return self.until is not None and now < self.until

    def may_take(self, held: int, now: datetime) -> bool:
        """Whether a worker that holds so many jobs may take another."""
        return self.until is None or (now >= self.until and held == 0)
