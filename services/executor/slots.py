"""The slots of a worker: how many jobs it holds at once, and what makes them look for one."""

import threading
import time

import structlog

from services.executor.attempt import Painter
from services.executor.bell import Bell
from services.executor.claims import Claims
from services.executor.domain import Job
from services.executor.registration import Registration
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
        self._held = 0
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

    def work(self, model: str, passes: int) -> None:
        """A bell rang: claim and paint until nothing is claimable; pass it on if somebody idle should hear it."""
        if self._free.acquire(blocking=False):
            try:
                self._drain()
            finally:
                self._free.release()
        try:
            if passes > 0 and self._claims.could_be_begun_elsewhere(model):
                self._bell.ring(model, passes - 1)
        except DependencyUnavailable as error:
            log.warning("bell not passed on", error=str(error))

    def _look_on(self) -> None:
        """Look every now and then, and shortly before a run ends."""
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
            if self._free.acquire(blocking=False):
                thread = threading.Thread(target=self._look, name="slot")
                self._lookers = {known for known in self._lookers if known.is_alive()} | {thread}
                thread.start()

    def _look(self) -> None:
        try:
            self._adopt()
            self._drain()
        finally:
            self._free.release()

    def _adopt(self) -> None:
        """Take over the runs of a worker of this engine that died."""
        while not self._stopping.is_set():
            try:
                with self._claiming:
                    job = self._claims.adopt()
                    self._held += job is not None
            except DependencyUnavailable as error:
                log.warning("nothing adopted", error=str(error))
                return
            if job is None:
                return
            self._paint(job)

    def _drain(self) -> None:
        while not self._stopping.is_set():
            try:
                job = self._claim()
            except DependencyUnavailable as error:
                log.warning("nothing claimed", error=str(error))
                return
            if job is None:
                return
            self._paint(job)

    def _paint(self, job: Job) -> None:
        try:
            self._painter.paint(job)
        finally:
            with self._claiming:
                self._held -= 1

    def _claim(self) -> Job | None:
        """One claim at a time, so that the second slot knows what the first one has."""
        with self._claiming:
            models = self._registration.claimable(self._held)
            if not models or (self._held and not self._is_end_near()):
                return None
            loaded = self._registration.loaded_model
            job = self._claims.claim(models, loaded=loaded, ahead=self._held > 0)
            self._held += job is not None
            return job

    def _is_end_near(self) -> bool:
        ends_at = self._painter.ends_at()
        return ends_at is not None and ends_at - time.monotonic() <= AHEAD_SECONDS
