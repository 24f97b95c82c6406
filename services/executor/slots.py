"""The slots of a worker: how many jobs it holds at once, and what makes them look for one."""

import threading

import structlog

from services.executor.attempt import Painter
from services.executor.claims import Claims
from services.executor.domain import Job
from services.executor.registration import Registration
from services.runtime.errors import DependencyUnavailable

log = structlog.get_logger()

SLOTS = 2
"""One run in the engine and one ahead of it, so that the GPU never waits for us."""

LOOK_SECONDS = 2.0
"""How late work is found whose bell was lost. The look is also what sweeps up after workers that died."""


class Slots:
    """Each waking of a slot claims and paints until nothing is claimable."""

    def __init__(self, claims: Claims, registration: Registration, painter: Painter) -> None:
        self._claims = claims
        self._registration = registration
        self._painter = painter
        self._free = threading.Semaphore(SLOTS)
        self._busy = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._looker = threading.Thread(target=self._look_on, name="look", daemon=True)
        self._lookers: set[threading.Thread] = set()

    def start(self) -> None:
        self._looker.start()

    def stop_claiming(self) -> None:
        self._stopping.set()

    def join(self) -> None:
        """Wait for the jobs in hand."""
        self._looker.join()
        for thread in list(self._lookers):
            thread.join()

    def work(self) -> None:
        """A bell rang: claim and paint until nothing is claimable. Waits for a slot."""
        with self._free:
            self._drain()

    def _look_on(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            if self._free.acquire(blocking=False):
                thread = threading.Thread(target=self._look, name="slot")
                self._lookers = {known for known in self._lookers if known.is_alive()} | {thread}
                thread.start()

    def _look(self) -> None:
        try:
            self._drain()
        finally:
            self._free.release()

    def _drain(self) -> None:
        while not self._stopping.is_set():
            try:
                job = self._next()
            except DependencyUnavailable as error:
                log.warning("nothing claimed", error=str(error))
                return
            if job is None:
                return
            try:
                self._painter.paint(job)
            finally:
                with self._lock:
                    self._busy -= 1

    def _next(self) -> Job | None:
        """One claim at a time, so that the second slot knows what the first one has."""
        with self._lock:
            models = self._registration.servable
            job = (self._claims.adopt() or self._claims.claim(models, ahead=self._busy > 0)) if models else None
            self._busy += job is not None
            return job
