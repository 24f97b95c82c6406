"""Which job a slot takes next."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection

from services.executor import store
from services.executor.domain import WORKER_PATIENCE, EngineId, Job, NotClaimable, PromptId
from services.executor.fairshare import in_order
from services.runtime.database import Database


class Claims:
    """Claims for one engine. Its own runs that lost their worker come first, then fair share."""

    def __init__(
        self, engine_id: EngineId, database: Database, lease: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._engine_id = engine_id
        self._database = database
        self._lease = lease
        self._clock = clock

    def adopt(self) -> Job | None:
        """A job whose worker died and whose run may still go on this engine."""
        with self._database.transaction() as tx:
            now = self._clock()
            for job_id in store.adoptable(tx, self._engine_id, now):
                job = store.lock_unless_taken(tx, job_id)
                try:
                    adopted = job and job.adopt(self._engine_id, now, self._lease)
                except NotClaimable:
                    continue
                if adopted:
                    store.save_job(tx, adopted)
                    return adopted
        return None

    def claim(self, models: frozenset[str], *, ahead: bool) -> Job | None:
        """The waiting job that fair share puts first among those of these models.

        `ahead`: this engine is painting already, and a second run only keeps it fed. It leaves alone what another
        worker that is idle could begin at once.
        """
        with self._database.transaction() as tx:
            now = self._clock()
            if ahead:
                models -= store.models_of_idle_workers(tx, now - WORKER_PATIENCE, without=self._engine_id)
            if not models:
                return None
            clock = store.get_clock(tx)
            for job_id in in_order(store.waiting_heads(tx, models), clock):
                job = store.lock_unless_taken(tx, job_id)
                try:
                    claimed = job and job.claim(self._engine_id, PromptId(uuid4()), now, self._lease)
                except NotClaimable:
                    continue
                if claimed:
                    _charge(tx, claimed, clock)
                    store.save_job(tx, claimed)
                    return claimed
        return None


def _charge(tx: Connection, job: Job, clock: float) -> None:
    account, v = store.lock_account(tx, job.owner_id).charge(clock, job.cost)
    store.save_account(tx, account)
    store.advance_clock(tx, v)
