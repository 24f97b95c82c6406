"""The queue as people see it: each unfinished job's place, why it waits, and when it will have ended."""

import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from uuid import uuid4

import structlog

from services.executor import store
from services.executor.domain import EngineId, Job, JobId
from services.executor.scheduling.census import Census, take_census
from services.executor.scheduling.estimates import Estimates
from services.executor.scheduling.forecast import Forecast, Held, Seat, Unfinished, Waiting, forecast, play
from services.executor.store import Promise, QueuedJob
from services.executor.workers import WaitingReason, Worker, waiting_reason
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable

log = structlog.get_logger()

LEAST_AGE_SECONDS = 1.0
"""A view is as old as this at most, and costs one look at the queue in that time however many ask."""

MOST_EFFORT = 0.2
"""Share of one core that looking at a very long queue may take; a view grows older instead."""

PROMISES = 500
"""First forecasts written down with one look; later ones follow with the next."""

LAST = sys.maxsize
"""The queue number of whoever has none yet."""


@dataclass(frozen=True)
class Outlook:
    """How an unfinished job stands: place (1 is next, 0 none), why it waits, moments of its probable end."""

    position: int = 0
    reason: WaitingReason = WaitingReason.QUEUED
    p50: datetime | None = None
    p90: datetime | None = None


@dataclass(frozen=True)
class _Look:
    """The queue as it was at one moment: what was seen, and what follows for each job."""

    at: datetime
    workers: list[Worker]
    outlooks: dict[JobId, Outlook]
    seats: list[Seat]
    held: list[Held]
    waiting: list[Waiting]
    census: Census | None = None
    """None before the first look."""


class QueueView:
    """Kept up to date on demand, and by who calls `look` now and then. Thread-safe."""

    def __init__(
        self,
        database: Database,
        estimates: Callable[[], Estimates],
        pools: Callable[[], Collection[str]],
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._estimates = estimates
        self._pools = pools
        self._clock = clock
        self._looking = threading.Lock()
        self._look_again_at = 0.0
        self._seen = _Look(clock(), [], {}, [], [], [])

    def look(self) -> None:
        """Look at the queue, unless that was done within the last second."""
        self._seen_lately()

    @property
    def census(self) -> Census | None:
        """The figures of the last look; None before the first."""
        return self._seen.census

    def outlook(self, job: Job) -> Outlook:
        """Of an unfinished job, as it was within the last second, or for a very long queue within a few.

        One that came since has no place yet.
        """
        seen = self._seen_lately()
        return seen.outlooks.get(job.id) or Outlook(reason=self._reason(seen, job.model))

    def outlook_of_newcomer(self, model: str, work: float, start: float) -> Outlook:
        """How a job would stand that came now, with `start` as in `Waiting`."""
        seen = self._seen_lately()
        newcomer = Waiting(Unfinished(JobId(uuid4()), model, work), start, LAST)
        place = bisect_right(seen.waiting, start, key=lambda one: one.start)
        waiting = chain(seen.waiting[:place], [newcomer], seen.waiting[place:])
        for job_id, told in play(seen.seats, seen.held, waiting, self._estimates()):
            if job_id == newcomer.job.job_id:
                return _told(told, WaitingReason.QUEUED, seen.at)
        return Outlook(reason=self._reason(seen, model))

    def _reason(self, seen: _Look, model: str) -> WaitingReason:
        return waiting_reason(model, seen.workers, self._pools(), self._clock())

    def _seen_lately(self) -> _Look:
        """While one caller looks, the others are answered from the view before."""
        if time.monotonic() >= self._look_again_at and self._looking.acquire(blocking=False):
            began = time.monotonic()
            try:
                self._seen = self._look()
            except DependencyUnavailable as error:
                log.warning("queue not looked at", error=str(error))
            finally:
                ended = time.monotonic()
                self._look_again_at = max(began + LEAST_AGE_SECONDS, ended + (ended - began) / MOST_EFFORT)
                self._looking.release()
        return self._seen

    def _look(self) -> _Look:
        with self._database.transaction() as tx:
            now = self._clock()
            workers = store.list_workers(tx, now)
            queued = store.unfinished(tx)
        held, waiting = _held(queued, now), _waiting(queued)
        seats = [
            Seat(worker.engine_id, worker.models, worker.loaded_model) for worker in workers if worker.is_able(now)
        ]
        estimates = self._estimates()
        forecasts = forecast(seats, held, waiting, estimates)
        promises = [
            Promise(job.job_id, told.position, told.raw, now)
            for job in queued
            if not job.has_promise and (told := forecasts.get(job.job_id)) and told.raw > 0
        ]
        if promises:
            with self._database.transaction() as tx:
                store.keep_promises(tx, promises[:PROMISES])
        reasons = {model: waiting_reason(model, workers, self._pools(), now) for model in {job.model for job in queued}}
        loading = {worker.engine_id for worker in workers if worker.is_loading}
        outlooks = {job.job_id: _outlook(job, forecasts.get(job.job_id), reasons, loading, now) for job in queued}
        census = take_census(workers, queued, estimates, now)
        return _Look(now, workers, outlooks, seats, held, waiting, census)


def _held(queued: list[QueuedJob], now: datetime) -> list[Held]:
    return [
        Held(
            Unfinished(job.job_id, job.model, job.work),
            job.engine_id,
            (now - job.started_at).total_seconds() if job.started_at else None,
        )
        for job in queued
        if job.engine_id is not None
    ]


def _waiting(queued: list[QueuedJob]) -> list[Waiting]:
    """Without what its owner's running cap holds back."""
    return [
        Waiting(Unfinished(job.job_id, job.model, job.work), job.start, job.queue_number)
        for job in queued
        if job.engine_id is None and not job.is_capped
    ]


def _outlook(
    job: QueuedJob,
    told: Forecast | None,
    reasons: dict[str, WaitingReason],
    loading: set[EngineId],
    now: datetime,
) -> Outlook:
    if job.engine_id is not None:
        reason = WaitingReason.MODEL_LOADING if job.engine_id in loading else WaitingReason.QUEUED
    elif job.is_capped:
        reason = WaitingReason.USER_CAP
    else:
        reason = reasons[job.model]
    if told is None:
        return Outlook(reason=reason)
    return _told(told, reason, now)


def _told(told: Forecast, reason: WaitingReason, now: datetime) -> Outlook:
    return Outlook(told.position, reason, now + timedelta(seconds=told.p50), now + timedelta(seconds=told.p90))
