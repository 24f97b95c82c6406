"""Keeping leases: renewed once a second, given up when they cannot be."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from services.executor import store
from services.executor.domain import Job
from services.executor.worker.timeline import AttemptTimeline
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from services.runtime.logs import describe

log = structlog.get_logger()

RENEW_SECONDS = 1.0
WATCH_SECONDS = 0.2


@dataclass(eq=False)
class Hold:
    """A job in this worker's hands. `stop` ends its run; the flags say why. Times are monotonic seconds.

    `job` is as the worker last wrote it. A run may take `run_limit` seconds, and its clock runs only while the engine
    paints: not while it waits there for the run before it, nor while its pictures wait for results.
    """

    job: Job
    valid_until: float
    run_limit: float
    timeline: AttemptTimeline
    ends_at: float = math.inf
    stop: threading.Event = field(default_factory=threading.Event)
    lost: bool = False
    timed_out: bool = False
    cancel_requested: bool = False
    interrupter: threading.Thread | None = None

    @property
    def epoch(self) -> int:
        return self.job.lease_epoch

    def begin(self) -> None:
        self.ends_at = time.monotonic() + self.run_limit

    def end(self) -> None:
        self.ends_at = math.inf


class LeaseKeeper:
    """Renews every held lease from one thread, and learns there of cancels.

    A lease that could not be renewed for its whole length is lost, whatever the reason: another worker may have the
    job by now. That is watched from a second thread, because a renewal may hang in a network that is cut off.
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
        self._abandons = False
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._renew_on, name="leases", daemon=True),
            threading.Thread(target=self._watch_on, name="lease watch", daemon=True),
        ]

    @property
    def is_alive(self) -> bool:
        """Whether the threads run that every held job depends on."""
        return all(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(5)

    @contextmanager
    def keep(self, job: Job) -> Iterator[Hold]:
        """Renew the lease of a job that was just claimed until the block ends."""
        hold = Hold(
            job,
            time.monotonic() + self._length.total_seconds(),
            self._run_limit.total_seconds(),
            AttemptTimeline(job, self._clock),
        )
        with self._lock:
            self._holds.add(hold)
            if self._abandons:
                hold.stop.set()
        try:
            yield hold
        finally:
            with self._lock:
                self._holds.discard(hold)

    def abandon_all(self) -> None:
        """End every run, so that its job is given back; also one whose claim is still on its way."""
        with self._lock:
            self._abandons = True
            for hold in self._holds:
                hold.stop.set()

    def _held(self) -> list[Hold]:
        with self._lock:
            return list(self._holds)

    def _renew_on(self) -> None:
        while not self._stopping.wait(RENEW_SECONDS):
            for hold in self._held():
                if not hold.lost:
                    try:
                        self._renew(hold)
                    except Exception as error:  # noqa: BLE001 - the other leases depend on this thread
                        log.error("lease not renewed", **describe(error))  # noqa: TRY400 - its text may be private

    def _renew(self, hold: Hold) -> None:
        asked_at = time.monotonic()
        try:
            with self._database.transaction() as tx:
                cancel_requested = store.renew_lease(tx, hold.job.id, hold.epoch, self._clock() + self._length)
        except DependencyUnavailable as error:
            log.warning("lease not renewed", task_id=str(hold.job.id), error=str(error))
            return
        if cancel_requested is None:
            self._lose(hold)
            return
        hold.valid_until = asked_at + self._length.total_seconds()
        hold.cancel_requested = cancel_requested
        if cancel_requested:
            self._interrupt_beside(hold)

    def _interrupt_beside(self, hold: Hold) -> None:
        """In the background, for an engine that is slow to answer must not hold up the other leases."""
        if hold.interrupter is None or not hold.interrupter.is_alive():
            hold.interrupter = threading.Thread(target=self._interrupt, args=(hold.job,), name="interrupt", daemon=True)
            hold.interrupter.start()

    def _watch_on(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            now = time.monotonic()
            for hold in self._held():
                if now >= hold.valid_until and not hold.lost:
                    self._lose(hold)
                elif now >= hold.ends_at and not hold.timed_out:
                    hold.timed_out = True
                    hold.stop.set()

    def _lose(self, hold: Hold) -> None:
        """Tell the attempt, which knows whether it has ended just now and may let it be."""
        hold.lost = True
        hold.stop.set()
