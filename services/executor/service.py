"""What the executor does for generation: take jobs, quote and cancel them, tell how they stand."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from services.executor import store
from services.executor.bell import Bell
from services.executor.catalogue import Models, check_job
from services.executor.domain import Job, JobId, OwnerErased, OwnerId, Spec, canceled_before_submit
from services.executor.engine.folder import ModelFolder
from services.executor.events import Publisher
from services.executor.messages import job_to_proto
from services.executor.scheduling.estimates import Estimates
from services.executor.scheduling.ledger import Ledger
from services.executor.settings import Pools
from services.executor.workers import Worker
from services.runtime.database import Database
from services.runtime.requests import request_id
from services.runtime.tracing import traceparent


@dataclass(frozen=True)
class Quote:
    """What a job's owner would be charged, in GPU-seconds, and the virtual time at which fair share would start it;
    None if the owner's running cap would hold it back.
    """

    gpu_seconds: float
    start: float | None


class Executor:
    """The use cases of the server. Thread-safe; each opens its own transaction."""

    def __init__(
        self,
        *,
        database: Database,
        folder: ModelFolder,
        pools: Pools,
        ledger: Ledger,
        estimates: Callable[[], Estimates],
        publisher: Publisher,
        bell: Bell,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._folder = folder
        self._pools = pools
        self._ledger = ledger
        self._estimates = estimates
        self._publisher = publisher
        self._bell = bell
        self._clock = clock

    def submit(self, job_id: JobId, owner_id: OwnerId, model_name: str, spec: Spec) -> Job:
        """Queue a job, once. Raises ModelUnknown, ModelUnavailable, ParameterOutOfRange or OwnerErased."""
        now = self._clock()
        models, estimates = self._folder.models, self._estimates()
        with self._database.transaction() as tx:
            if known := store.get_job(tx, job_id):
                return known
            self._check(tx, models, model_name, spec, now)
            cost = estimates.run(model_name, None, spec.work).p50
            origin, parent = request_id(), traceparent()
            job = Job(job_id, owner_id, model_name, spec, now, origin=origin, traceparent=parent, cost=cost)
            inserted = self._ledger.add(tx, job)
        if not inserted:  # another submit, or a cancel, was faster by less than this transaction
            return self._existing(job_id)
        self._publisher.status(job_to_proto(job), job.lease_epoch)
        self._bell.ring(job.model)
        return job

    def quote(self, owner_id: OwnerId, model_name: str, spec: Spec) -> Quote:
        """Of a job that would be submitted now. Raises as `submit` does, and writes nothing."""
        models, estimates = self._folder.models, self._estimates()
        with self._database.transaction() as tx:
            self._check(tx, models, model_name, spec, self._clock())
            if store.is_erased(tx, owner_id):
                raise OwnerErased
            start = self._ledger.start_of_newcomer(tx, owner_id, model_name)
        return Quote(estimates.run(model_name, None, spec.work).p50, start)

    def cancel(self, job_id: JobId, owner_id: OwnerId) -> Job:
        """Ask a job to stop; one that is not known yet will come back canceled when it is submitted.

        Of an erased owner that needs no tombstone: the job will not be taken.
        """
        now = self._clock()
        tombstone = canceled_before_submit(job_id, owner_id, now)
        try:
            with self._database.transaction() as tx:
                known = store.get_job(tx, job_id, lock=True)
                if known is None and not self._ledger.add(tx, tombstone):
                    known = _still_there(store.get_job(tx, job_id, lock=True))
                job = known.request_cancel(now) if known else tombstone
                if known:
                    self._ledger.save(tx, known, job, now)
        except OwnerErased:
            return tombstone
        if job != known:
            self._publisher.status(job_to_proto(job), job.lease_epoch)
        return job

    def get(self, job_ids: Collection[JobId]) -> list[Job]:
        with self._database.transaction() as tx:
            return store.get_jobs(tx, job_ids)

    def models(self) -> tuple[Models, list[Worker], Collection[str], datetime]:
        """The installed models, and the workers and pools that decide whether they are available now."""
        models = self._folder.models
        with self._database.transaction() as tx:
            now = self._clock()
            return models, store.list_workers(tx, now), self._pools.among(models), now

    def _check(self, tx: Connection, models: Models, model_name: str, spec: Spec, now: datetime) -> None:
        """Raises ModelUnknown, ModelUnavailable or ParameterOutOfRange."""
        workers, pools = store.list_workers(tx, now), self._pools.among(models)
        check_job(models, model_name, spec, workers=workers, pools=pools, now=now)

    def _existing(self, job_id: JobId) -> Job:
        with self._database.transaction() as tx:
            return _still_there(store.get_job(tx, job_id))


def _still_there(job: Job | None) -> Job:
    """A job that was there a moment ago: only an erasure deletes any. Raises OwnerErased."""
    if job is None:
        raise OwnerErased
    return job
