"""Keeping leases: renewed once a second, given up when they cannot be."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from services.executor import store
from services.executor.domain import Job, LeaseLost
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable

log = structlog.get_logger()

RENEW_SECONDS = 1.0


@dataclass(eq=False)
class Hold:
    """A job in this worker's hands. `stop` ends its run; the flags say why."""

    job: Job
    valid_until: float
    ends_at: float
    stop: threading.Event = field(default_factory=threading.Event)
    lost: bool = False
    timed_out: bool = False
    cancel_requested: bool = False

    @property
    def epoch(self) -> int:
        return self.job.lease_epoch


class LeaseKeeper:
    """Renews every held lease from one thread, and learns there of cancels.

    A lease that could not be renewed for its whole length is lost, whatever the reason: another worker may have the
    job by now.
    """

    def __init__(
        self,
        database: Database,
        length: timedelta,
        run_limit: timedelta,
        clock: Callable[[], datetime],
        interrupt: Callable[[Job], None],
    ) -> None:
        self._database = database
        self._length = length
        self._run_limit = run_limit
        self._clock = clock
        self._interrupt = interrupt
        self._holds: set[Hold] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._renew_on, name="leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)

    @contextmanager
    def keep(self, job: Job) -> Iterator[Hold]:
        """Renew the lease of a job that was just claimed until the block ends."""
        now = time.monotonic()
        hold = Hold(job, now + self._length.total_seconds(), now + self._run_limit.total_seconds())
        with self._lock:
            self._holds.add(hold)
        try:
            yield hold
        finally:
            with self._lock:
                self._holds.discard(hold)

    def abandon_all(self) -> None:
        """End every run, so that its job is given back."""
        with self._lock:
            for hold in self._holds:
                hold.stop.set()

    def _renew_on(self) -> None:
        while not self._stopping.wait(RENEW_SECONDS):
            with self._lock:
                holds = list(self._holds)
            for hold in holds:
                self._renew(hold)

    def _renew(self, hold: Hold) -> None:
        if hold.lost:
            return
        asked_at = time.monotonic()
        try:
            with self._database.transaction() as tx:
                job = store.get_job(tx, hold.job.id, lock=True)
                assert job is not None, "a job is never deleted"
                store.save_job(tx, job.renew(hold.epoch, self._clock(), self._length))
            hold.valid_until = asked_at + self._length.total_seconds()
            hold.cancel_requested = job.cancel_requested
        except LeaseLost:
            hold.lost = True
        except DependencyUnavailable:
            hold.lost = time.monotonic() >= hold.valid_until
        if hold.lost:
            log.warning("lease lost", job_id=str(hold.job.id), epoch=hold.epoch)
            hold.stop.set()
        elif hold.cancel_requested:
            self._in_background(hold.job)
        elif time.monotonic() >= hold.ends_at and not hold.timed_out:
            hold.timed_out = True
            hold.stop.set()

    def _in_background(self, job: Job) -> None:
        """An engine that is slow to answer must not hold up the other leases."""
        threading.Thread(target=self._interrupt, args=(job,), name="interrupt", daemon=True).start()
