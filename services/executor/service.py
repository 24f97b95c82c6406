"""What the executor does for generation: take jobs, cancel them, tell how they stand."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from services.executor import store
from services.executor.bell import Bell
from services.executor.catalogue import Models, check_job, cost_of
from services.executor.domain import (
    WORKER_PATIENCE,
    Availability,
    Job,
    JobId,
    NotClaimable,
    OwnerId,
    Spec,
    WaitingReason,
    Worker,
    availability,
    canceled_before_submit,
)
from services.executor.events import Publisher
from services.executor.messages import job_to_proto
from services.runtime.calls import request_id
from services.runtime.database import Database

log = structlog.get_logger()

QUEUE_SNAPSHOT_SECONDS = 1.0
"""Positions and waiting reasons are as old as this at most, and cost one query in that time however many ask."""


@dataclass(frozen=True)
class QueueSnapshot:
    """The queue at one moment: each waiting job's place, each model's availability."""

    taken_at: float
    positions: dict[JobId, int]
    availability: dict[str, Availability]

    def waiting_reason(self, job: Job) -> WaitingReason:
        able = job.lease is not None or self.availability.get(job.model) is Availability.AVAILABLE
        return WaitingReason.QUEUED if able else WaitingReason.NO_CAPACITY


class Executor:
    """The use cases of the server. Thread-safe; each opens its own transaction."""

    def __init__(
        self, database: Database, models: Models, publisher: Publisher, bell: Bell, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._models = models
        self._publisher = publisher
        self._bell = bell
        self._clock = clock
        self._snapshot = QueueSnapshot(-QUEUE_SNAPSHOT_SECONDS, {}, {})
        self._snapshot_lock = threading.Lock()

    def submit(self, job_id: JobId, owner_id: OwnerId, model_name: str, spec: Spec) -> Job:
        """Queue a job, once. Raises ModelUnknown, ModelUnavailable or ParameterOutOfRange."""
        now = self._clock()
        with self._database.transaction() as tx:
            if known := store.get_job(tx, job_id):
                return known
            model = check_job(self._models, model_name, spec, store.list_workers(tx), now)
            job = Job(job_id, owner_id, model_name, spec, now, origin=request_id(), cost=cost_of(model, spec))
            inserted = store.insert_job(tx, job)
        if not inserted:  # another submit, or a cancel, was faster by less than this transaction
            return self._existing(job_id)
        self._publisher.status(job_to_proto(job), job.lease_epoch)
        self._bell.ring(job.model)
        return job

    def cancel(self, job_id: JobId, owner_id: OwnerId) -> Job:
        """Ask a job to stop; one that is not known yet will come back canceled when it is submitted."""
        now = self._clock()
        with self._database.transaction() as tx:
            known = store.get_job(tx, job_id, lock=True)
            job = known.request_cancel(now) if known else canceled_before_submit(job_id, owner_id, now)
            if known is None and not store.insert_job(tx, job):
                known = store.get_job(tx, job_id, lock=True)
                assert known is not None
                job = known.request_cancel(now)
            if known is not None and job != known:
                store.save_job(tx, job)
        if job != known:
            self._publisher.status(job_to_proto(job), job.lease_epoch)
        return job

    def get(self, job_ids: Collection[JobId]) -> list[Job]:
        with self._database.transaction() as tx:
            return store.get_jobs(tx, job_ids)

    def models(self) -> tuple[Models, list[Worker], datetime]:
        """The installed models, and the workers that decide whether they are available now."""
        with self._database.transaction() as tx:
            return self._models, store.list_workers(tx), self._clock()

    def queue(self) -> QueueSnapshot:
        """The queue as it was within the last second."""
        with self._snapshot_lock:
            if time.monotonic() - self._snapshot.taken_at >= QUEUE_SNAPSHOT_SECONDS:
                self._snapshot = self._look_at_queue()
            return self._snapshot

    def expire_leases(self, grace: timedelta, max_attempts: int) -> None:
        """Take jobs back from workers that are gone; any number of processes may do so at once."""
        now = self._clock()
        with self._database.transaction() as tx:
            job_ids = store.expired(tx, now - grace)
        for job_id in job_ids:
            with self._database.transaction() as tx:
                held = store.lock_unless_taken(tx, job_id)
                if held is None:
                    continue
                try:
                    job = held.expire(now, grace, max_attempts)
                except NotClaimable:
                    continue
                store.save_job(tx, job)
            log.warning("lease expired", job_id=str(job.id), state=job.state, attempts=job.attempts)
            self._publisher.status(job_to_proto(job), job.lease_epoch)
            if not job.is_finished:
                self._bell.ring(job.model)

    def _existing(self, job_id: JobId) -> Job:
        with self._database.transaction() as tx:
            job = store.get_job(tx, job_id)
        assert job is not None, "a job is never deleted"
        return job

    def _look_at_queue(self) -> QueueSnapshot:
        now = self._clock()
        with self._database.transaction() as tx:
            workers = store.list_workers(tx)
            states = {name: availability(name, workers, now, WORKER_PATIENCE) for name in self._models}
            able = [name for name, state in states.items() if state is Availability.AVAILABLE]
            return QueueSnapshot(time.monotonic(), store.queue_positions(tx, able), states)
