"""What the executor does for who runs the GPUs: show workers and queues, drain and resume workers, weigh owners."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.executor import store
from services.executor.domain import EngineId, JobId, OwnerId
from services.executor.scheduling.ledger import Ledger
from services.executor.store import OwnerLoad, QueueLoad
from services.executor.workers import Worker, WorkerNotFound
from services.runtime.database import Database


@dataclass(frozen=True)
class WorkerReport:
    """A worker and the jobs that it holds, the one that its engine paints first; as of `now`."""

    worker: Worker
    job_ids: Sequence[JobId]
    now: datetime


class Operators:
    """Thread-safe; each use case opens its own transaction."""

    def __init__(self, database: Database, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock

    def workers(self) -> list[WorkerReport]:
        now = self._clock()
        with self._database.transaction() as tx:
            held = store.held_jobs(tx)
            return [WorkerReport(worker, held.get(worker.engine_id, []), now) for worker in store.list_workers(tx, now)]

    def drain(self, engine_id: EngineId) -> WorkerReport:
        """Raises WorkerNotFound."""
        now = self._clock()
        with self._database.transaction() as tx:
            worker = store.drain(tx, engine_id)
            if worker is None:
                raise WorkerNotFound
            return WorkerReport(worker, store.held_jobs(tx).get(engine_id, []), now)

    def resume(self, engine_id: EngineId) -> WorkerReport:
        """Raises WorkerNotFound."""
        now = self._clock()
        with self._database.transaction() as tx:
            worker = store.resume(tx, engine_id, now)
            if worker is None:
                raise WorkerNotFound
            return WorkerReport(worker, store.held_jobs(tx).get(engine_id, []), now)

    def queues(self) -> list[QueueLoad]:
        with self._database.transaction() as tx:
            return store.queues(tx, self._clock())

    def owners(self, limit: int) -> list[OwnerLoad]:
        with self._database.transaction() as tx:
            return store.busiest_owners(tx, limit)

    def update_owner(self, owner_id: OwnerId, weight: float | None, running_cap: int | None) -> OwnerLoad:
        """None leaves a value as it is; a cap of 0 removes the owner's own. Raises OwnerErased."""
        with self._database.transaction() as tx:
            account = self._ledger.open_account(tx, owner_id)
            if weight is not None:
                account = replace(account, weight=weight)
            if running_cap is not None:
                account = replace(account, running_cap=running_cap or None)
            self._ledger.save_account(tx, account)
            return store.owner_load(tx, account)
