"""Removing what says nothing any more: limits that are made up for, and what has been over for long."""

import threading
from collections.abc import Callable
from datetime import datetime

import structlog

from services.auth import store
from services.auth.domain import REQUEST_MEMORY, SIGNING_KEY_LINGER
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from services.runtime.logs import describe

log = structlog.get_logger()

SWEEP_SECONDS = 60.0
"""Nobody waits for it. Any number of replicas may sweep at once."""


class Sweep:
    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def start(self, stopping: threading.Event) -> None:
        """Look every minute, in a thread of its own, until told to stop."""
        threading.Thread(target=self._repeat, args=(stopping,), name="sweep", daemon=True).start()

    def look(self) -> None:
        """Raises DependencyUnavailable."""
        now = self._clock()
        with self._database.transaction() as tx:
            store.remove_forgotten_attempts(tx, now)
            store.remove_expired_revocations(tx, now)
            store.remove_forgotten_api_keys(tx, now)
            store.forget_registrations(tx, made_before=now - REQUEST_MEMORY)
            store.remove_signing_keys(tx, retired_before=now - SIGNING_KEY_LINGER)

    def _repeat(self, stopping: threading.Event) -> None:
        while not stopping.wait(SWEEP_SECONDS):
            try:
                self.look()
            except DependencyUnavailable as error:
                log.warning("not swept", error=str(error))
            except Exception as error:  # noqa: BLE001 - the next look may do better
                log.error("sweep failed", **describe(error))  # noqa: TRY400 - its text may be private
