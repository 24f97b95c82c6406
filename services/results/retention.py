"""Pictures that nobody has kept for long enough go, as if their owner had deleted them."""

from datetime import UTC, datetime

from prometheus_client import Counter

from services.results import store
from services.results.domain import OwnerId, TaskId
from services.results.sweeping import Sweeper
from services.runtime.database import Database

EXPIRED = Counter("imagegen_results_expired_total", "Pictures that were deleted because their time was up.")

EXPIRED_AT_ONCE = 100
"""As many as one sweep looks at: about a second's work, and no more than that to wait for when the process stops."""


class Retention:
    """Blocks. `days` that a picture stays after nobody keeps it any more; 0: for ever."""

    def __init__(self, database: Database, sweeper: Sweeper, days: int) -> None:
        self._database = database
        self._sweeper = sweeper
        self._days = days

    def sweep(self) -> bool:
        """Delete some of what has expired; whether there is more. Raises DependencyUnavailable.

        Whoever is just about to keep a picture wins: it is left for a later sweep to look at again.
        """
        now = datetime.now(UTC)
        with self._database.transaction() as tx:
            store.set_retention_days(tx, self._days, now)
            tasks = store.list_expired(tx, now, EXPIRED_AT_ONCE)
        gone = [self._expire(owner_id, task_id, now) for owner_id, task_id in tasks]
        self._sweeper.delete(key for deleted in gone for key in deleted.keys)
        return sum(deleted.results for deleted in gone) >= EXPIRED_AT_ONCE

    def _expire(self, owner_id: OwnerId, task_id: TaskId, now: datetime) -> store.Deleted:
        with self._database.transaction() as tx:
            store.share_owner(tx, owner_id)
            if store.is_erased(tx, owner_id):
                return store.Deleted(0, [])  # they go with everything else
            store.lock_task(tx, task_id)
            expired = store.lock_expired(tx, owner_id, task_id, now)
            for index in expired.values():
                store.add_tombstone(tx, owner_id, task_id, index, now)
            deleted = store.delete_some(tx, owner_id, list(expired), now)
        EXPIRED.inc(deleted.results)
        return deleted
