"""Which job a slot takes next."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection

from services.executor import store
from services.executor.domain import EngineId, Job, JobId, NotClaimable, PromptId
from services.executor.scheduling.estimates import Estimates
from services.executor.scheduling.fairshare import Head, handicap, in_order
from services.executor.scheduling.ledger import Ledger
from services.runtime.database import Database

ROUNDS = 20
"""Looks at the heads before a slot gives up because others were always faster; the next bell or look tries again."""

COURTESY = timedelta(seconds=1)
"""How long a job is left to an idle worker that has its model loaded, before one that has not takes it."""


class Claims:
    """Claims for one engine. Its own runs that lost their worker come first, then fair share."""

    def __init__(
        self,
        engine_id: EngineId,
        *,
        database: Database,
        ledger: Ledger,
        estimates: Callable[[], Estimates],
        lease: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._engine_id = engine_id
        self._database = database
        self._ledger = ledger
        self._estimates = estimates
        self._lease = lease
        self._clock = clock

    def adopt(self, in_hand: Collection[JobId] = ()) -> Job | None:
        """A job whose worker died and whose run may still go on this engine.

        `in_hand`: jobs that this worker is not done with; of a lost lease it may be about to learn.
        """
        with self._database.transaction() as tx:
            now = self._clock()
            for job_id in store.adoptable(tx, self._engine_id, now):
                if job_id in in_hand:
                    continue
                job = store.lock_unless_taken(tx, job_id)
                try:
                    adopted = job and job.adopt(self._engine_id, now, self._lease)
                except NotClaimable:
                    continue
                if job and adopted:
                    self._ledger.save(tx, job, adopted, now)
                    return adopted
        return None

    def claim(self, models: frozenset[str], *, loaded: str, ahead: bool) -> Job | None:
        """The waiting job that fair share puts first among those of these models; `loaded` is in the engine's memory.

        `ahead`: this engine is painting already, and a second run only keeps it fed. It leaves alone what another
        worker that is idle could begin at once.
        """
        estimates = self._estimates()  # before the transaction: they may need a connection of their own
        for _ in range(ROUNDS):
            with self._database.transaction() as tx:
                if store.is_drained(tx, self._engine_id):
                    return None
                heads = self._heads(tx, models, estimates, loaded=loaded, ahead=ahead)
                if not heads:
                    return None
                for head in heads:
                    if claimed := self._take(tx, head, estimates):
                        return claimed
        return None

    def idle_worker_for(self, model: str) -> EngineId | None:
        """Another worker that could begin at once what waits of a model, best one that has it loaded; if any waits."""
        with self._database.transaction() as tx:
            if not store.waits(tx, model):
                return None
            idle = store.idle_workers(tx, self._clock(), without=self._engine_id)
        able = sorted(
            (worker for worker in idle if model in worker.models), key=lambda worker: worker.loaded_model != model
        )
        return able[0].engine_id if able else None

    def _heads(
        self, tx: Connection, models: frozenset[str], estimates: Estimates, *, loaded: str, ahead: bool
    ) -> list[Head]:
        """What this engine may take, in order."""
        now = self._clock()
        heads, v = store.heads(tx, models, self._engine_id)
        if not heads or (not ahead and all(head.model == loaded for head in heads)):
            idle = []  # nothing that somebody else would rather do
        else:
            idle = store.idle_workers(tx, now, without=self._engine_id)
        if ahead:
            elsewhere = {model for worker in idle for model in worker.models}
            heads = [head for head in heads if head.model not in elsewhere]
        else:
            elsewhere = {worker.loaded_model for worker in idle} - {loaded}
            heads = [head for head in heads if head.model not in elsewhere or head.created_at < now - COURTESY]

        def handicap_of(model: str) -> float:
            return 0.0 if model == loaded else handicap(estimates.load(model, self._engine_id).p50)

        return in_order(heads, v, handicap_of)

    def _take(self, tx: Connection, head: Head, estimates: Estimates) -> Job | None:
        job = store.lock_unless_taken(tx, head.job_id)
        if job is None:
            return None
        now = self._clock()
        cost = estimates.run(job.model, self._engine_id, job.spec.work).p50
        try:
            claimed = job.claim(self._engine_id, PromptId(uuid4()), cost, now, self._lease)
            self._ledger.save(tx, job, claimed, now)
        except NotClaimable:
            return None
        return claimed
