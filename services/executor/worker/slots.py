"""The slots of a worker: how many jobs it holds at once, and what makes them look for one."""

import threading
import time

import structlog
from prometheus_client import Counter

from services.executor.bell import Bell
from services.executor.domain import Job, JobId
from services.executor.scheduling.claims import Claims
from services.executor.worker.attempt import Painter
from services.executor.worker.metrics import ADOPTIONS, CLAIMS
from services.executor.worker.registration import Registration
from services.runtime.errors import DependencyUnavailable

log = structlog.get_logger()

SLOTS = 2
"""One run in the engine and one ahead of it, so that the GPU never waits for us."""

LOOK_SECONDS = 2.0
"""How late work is found whose bell was lost. The look is also what sweeps up after workers that died."""

AHEAD_SECONDS = 1.0
"""How long before the probable end of a run the next job is claimed: enough for a slow claim, and so little that
somebody who comes meanwhile does not wait behind a second job.
"""


class Slots:
    """Each waking of a slot claims and paints until nothing is claimable."""

    def __init__(self, claims: Claims, registration: Registration, painter: Painter, bell: Bell) -> None:
        self._claims = claims
        self._registration = registration
        self._painter = painter
        self._bell = bell
        self._free = threading.Semaphore(SLOTS)
        self._held: list[JobId] = []
        self._claiming = threading.Lock()
        self._stopping = threading.Event()
        self._looker = threading.Thread(target=self._look_on, name="look", daemon=True)
        self._lookers: set[threading.Thread] = set()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs that finds work whose bell was lost."""
        return self._looker.is_alive()

    def start(self) -> None:
        self._looker.start()

    def stop_claiming(self) -> None:
        self._stopping.set()
        self._painter.began.set()

    def join(self) -> None:
        """Wait for the jobs in hand."""
        self._looker.join()
        for thread in list(self._lookers):
            thread.join()

    def work(self, model: str, is_call: bool) -> None:
        """A bell rang: claim and paint until nothing is claimable.

        If somebody idle could begin what still waits, they are called; but a worker that was called itself and
        found nothing lets it be, or else two could call each other for ever.
        """
        if not self._free.acquire(blocking=False):
            if not is_call:
                self._call_whoever_is_idle(model)
            return
        try:
            job = self._claim()
            if job or not is_call:  # beside the painting, which need not wait for it
                threading.Thread(target=self._call_whoever_is_idle, args=(model,), name="call", daemon=True).start()
            while job:
                self._paint(job)
                job = self._claim()
        finally:
            self._free.release()

    def _look_on(self) -> None:
        """Look at once, then every now and then, and shortly before a run ends."""
        self._begin_look()
        looked_ahead_of = None
        while not self._stopping.is_set():
            ends_at = self._painter.ends_at()
            pause = LOOK_SECONDS
            if ends_at is not None and ends_at != looked_ahead_of:
                pause = min(pause, max(0.0, ends_at - AHEAD_SECONDS - time.monotonic()))
            if self._painter.began.wait(pause):  # a new end is to be reckoned with
                self._painter.began.clear()
                continue
            if pause < LOOK_SECONDS:
                looked_ahead_of = ends_at
            self._begin_look()

    def _begin_look(self) -> None:
        if self._free.acquire(blocking=False):
            thread = threading.Thread(target=self._look, name="slot")
            try:
                thread.start()
            except RuntimeError:  # no thread is to be had now
                self._free.release()
                return
            self._lookers = {known for known in self._lookers if known.is_alive()} | {thread}

    def _look(self) -> None:
        try:
            while job := self._adopt() or self._claim():
                self._paint(job)
        finally:
            self._free.release()

    def _adopt(self) -> Job | None:
        """The run of a worker of this engine that died."""
        if self._stopping.is_set():
            return None
        try:
            with self._claiming:
                return self._took(self._claims.adopt(self._held), ADOPTIONS)
        except DependencyUnavailable as error:
            log.warning("nothing adopted", error=str(error))
            return None

    def _paint(self, job: Job) -> None:
        try:
            self._painter.paint(job)
        finally:
            with self._claiming:
                self._held.remove(job.id)

    def _claim(self) -> Job | None:
        """One claim at a time, so that the second slot knows what the first one has."""
        if self._stopping.is_set():
            return None
        try:
            with self._claiming:
                models = self._registration.claimable(len(self._held))
                if not models or (self._held and not self._is_end_near()):
                    return None
                loaded = self._registration.loaded_model
                return self._took(self._claims.claim(models, loaded=loaded, ahead=bool(self._held)), CLAIMS)
        except DependencyUnavailable as error:
            log.warning("nothing claimed", error=str(error))
            return None

    def _took(self, job: Job | None, count: Counter) -> Job | None:
        if job is not None:
            count.labels(job.model).inc()
            self._held.append(job.id)
        return job

    def _call_whoever_is_idle(self, model: str) -> None:
        try:
            engine_id = self._claims.idle_worker_for(model)
        except DependencyUnavailable as error:
            log.warning("nobody called", error=str(error))
            return
        if engine_id is not None:
            self._bell.call(engine_id, model)

    def _is_end_near(self) -> bool:
        ends_at = self._painter.ends_at()
        return ends_at is not None and ends_at - time.monotonic() <= AHEAD_SECONDS
