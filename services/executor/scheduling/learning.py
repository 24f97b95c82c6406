"""What this process knows of how long things take: read from the database now and then, added to after each run."""

import contextlib
import queue
import threading
import time

import structlog

from services.executor import store
from services.executor.catalogue import hints_of
from services.executor.domain import Job
from services.executor.engine.folder import ModelFolder
from services.executor.scheduling.estimates import Estimates, Key, finish_sample
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from services.runtime.logs import describe

log = structlog.get_logger()

FRESH_SECONDS = 5.0
"""A run takes seconds at least, so no sooner does anything new come in."""

LESSONS = 1000
"""Lessons that may lie unwritten while the database is away; later ones are lost."""


class Learning:
    """Thread-safe. What cannot be read or written now is done without: estimates are never worth a job."""

    def __init__(self, database: Database, folder: ModelFolder) -> None:
        self._database = database
        self._folder = folder
        self._lock = threading.Lock()
        self._read_at = -FRESH_SECONDS
        self._samples: dict[Key, list[float]] = {}
        self._estimates = Estimates({}, {})
        self._lessons: queue.Queue[tuple[Job, tuple[Key, float] | None]] = queue.Queue(LESSONS)
        threading.Thread(target=self._write_on, name="learning", daemon=True).start()

    def estimates(self) -> Estimates:
        with self._lock:
            if time.monotonic() - self._read_at >= FRESH_SECONDS:
                self._read_at = time.monotonic()
                try:
                    with self._database.transaction() as tx:
                        self._samples = store.load_samples(tx)
                except DependencyUnavailable as error:
                    log.warning("estimates not read", error=str(error))
                self._estimates = Estimates(hints_of(self._folder.models), self._samples)
            return self._estimates

    def learn(self, job: Job, lesson: tuple[Key, float] | None) -> None:
        """Note how long a completed job's run took, and how far its first forecast was off. Waits for nothing."""
        with contextlib.suppress(queue.Full):
            self._lessons.put_nowait((job, lesson))

    def _write_on(self) -> None:
        while True:
            try:
                self._write(*self._lessons.get())
            except Exception as error:  # noqa: BLE001 - a lesson is never worth a thread
                log.warning("nothing learnt", **describe(error))

    def _write(self, job: Job, lesson: tuple[Key, float] | None) -> None:
        assert job.finished_at is not None
        with self._database.transaction() as tx:
            if lesson is not None:
                store.add_sample(tx, *lesson)
            if promise := store.get_promise(tx, job.id):
                seconds = max(0.0, (job.finished_at - promise.at).total_seconds())
                store.add_sample(tx, *finish_sample(promise.position, promise.seconds, seconds))
