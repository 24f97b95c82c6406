"""Deleting the bytes of what has no row any more."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import structlog

from services.results import store
from services.results.blobs import Blobs
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable

log = structlog.get_logger()

MAX_WRITING = timedelta(hours=1)
"""A write takes seconds, so its process is gone; one that lives on after all cannot adopt its key any more."""
MOST_FAILURES = 3
"""In a row: the store is away, and one that has frozen takes 20 s to say so of each key."""
SWEEP_KEYS = 1000
"""As many as one sweep deletes, or one step of an erasure."""


class Sweeper:
    """Blocks."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def sweep(self) -> bool:
        """Delete some of the bytes that have no row any more; whether there are more. Raises DependencyUnavailable."""
        with self._database.transaction() as tx:
            store.doom_orphans(tx, older_than=datetime.now(UTC) - MAX_WRITING)
            keys = list(store.list_doomed(tx, SWEEP_KEYS))
        random.shuffle(keys)  # some that can never be deleted must not stand before the others for ever
        return self.delete(keys) and len(keys) == SWEEP_KEYS

    def delete(self, keys: Iterable[str]) -> bool:
        """The bytes of doomed orphans; whether all of them. What cannot be deleted now stays for the sweep."""
        is_all = True
        failures = 0
        for key in keys:
            try:
                self._blobs.delete(key)
                with self._database.transaction() as tx:
                    store.remove_orphan(tx, key)
                failures = 0
            except DependencyUnavailable as error:
                log.warning("bytes are left for the sweep", store_key=key, error=str(error))
                is_all = False
                failures += 1
                if failures == MOST_FAILURES:
                    break
        return is_all
