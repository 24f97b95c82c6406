"""Ending what would otherwise last for ever: leases of workers that are gone, jobs of models that are, and what is
kept of engines that nobody has heard of for a day.

Every server and every worker looks now and then; any number of processes may do so at once.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from services.executor import store
from services.executor.bell import Bell
from services.executor.domain import Job, JobId, NotClaimable
from services.executor.engine.folder import ModelFolder
from services.executor.events import Publisher
from services.executor.messages import job_to_proto
from services.executor.metrics import LEASES_EXPIRED
from services.executor.scheduling.ledger import Ledger
from services.runtime.database import Database
from services.runtime.requests import working_for

log = structlog.get_logger()

EXPIRY_SECONDS = 2.0
"""Between two looks."""

TIDY_EVERY = timedelta(minutes=1)
"""For what nobody waits for."""

STRANDED_AFTER = timedelta(hours=1)
"""How long nobody must have known a model before the jobs that wait for it fail: an operator may be replacing it, or
rolling it out.
"""

STRANDED_PAGE = 100

ENGINE_MEMORY = timedelta(days=1)
"""How long an engine's clock and estimates are kept after its last report."""


class Expiry:
    """Looks when it is told to. Thread-safe."""

    def __init__(
        self,
        *,
        database: Database,
        folder: ModelFolder,
        ledger: Ledger,
        publisher: Publisher,
        bell: Bell,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._folder = folder
        self._ledger = ledger
        self._publisher = publisher
        self._bell = bell
        self._clock = clock
        self._tidy_at = clock()
        self._unknown_since: dict[str, datetime] = {}

    def look(self, grace: timedelta, max_attempts: int) -> None:
        """Take jobs back whose lease ended longer ago than `grace`, and tidy up once a minute."""
        now = self._clock()
        with self._database.transaction() as tx:
            expired = store.expired(tx, now - grace)
        for job_id in expired:
            if job := self._change(job_id, lambda job: job.expire(now, grace, max_attempts), now):
                LEASES_EXPIRED.labels(job.model).inc()
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY_EVERY
            self._tidy(now)

    def _tidy(self, now: datetime) -> None:
        with self._database.transaction() as tx:
            store.forget_engines(tx, now - ENGINE_MEMORY)
            unknown = store.unknown_models(tx, self._folder.models, now)
            self._unknown_since = {model: self._unknown_since.get(model, now) for model in unknown}
            gone = [model for model, since in self._unknown_since.items() if now - since >= STRANDED_AFTER]
            stranded = store.waiting_for(tx, gone, STRANDED_PAGE) if gone else []
        for job_id in stranded:
            self._change(job_id, lambda job: job.strand(now), now)

    def _change(self, job_id: JobId, event: Callable[[Job], Job], now: datetime) -> Job | None:
        """What became of the job; None if others were faster."""
        with self._database.transaction() as tx:
            before = store.lock_unless_taken(tx, job_id)
            if before is None:
                return None
            try:
                job = event(before)
            except NotClaimable:
                return None
            self._ledger.save(tx, before, job, now)
        with working_for(job.origin, job.traceparent, "job taken back", task_id=job.id):
            log.warning("job taken back", state=job.state, attempts=job.attempts)
        self._publisher.status(job_to_proto(job), job.lease_epoch)
        if not job.is_finished:
            self._bell.ring(job.model)
        return job
