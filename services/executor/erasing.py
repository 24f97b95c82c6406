"""Forgetting an owner whose account was deleted."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from services.executor import store
from services.executor.domain import Job, JobId, OwnerId
from services.runtime.database import Database


class Eraser:
    """Any number of replicas may erase the same owner at once, and any of them may stop in between."""

    def __init__(
        self, database: Database, cancel: Callable[[JobId, OwnerId], Job], clock: Callable[[], datetime]
    ) -> None:
        """`cancel` asks a job to stop, and tells it to who follows the job."""
        self._database = database
        self._cancel = cancel
        self._clock = clock

    def erase(self, owner_id: UUID) -> bool:
        """Take nothing more for the owner, end what is unfinished, and delete what has ended.

        True once nothing of the owner is left. A job that a worker holds stays until the worker has let go of it, or
        its lease has expired, and what it stored is discarded: ask again.
        """
        owner = OwnerId(owner_id)
        if self._forget(owner):
            return True
        with self._database.transaction() as tx:
            unfinished = store.not_canceled_of(tx, owner)
        for job_id in unfinished:
            self._cancel(job_id, owner)
        return self._forget(owner)

    def _forget(self, owner_id: OwnerId) -> bool:
        """Whoever adds a job holds the account's lock: its job is seen here, or it sees that the owner is erased.

        The lock makes an account if there is none, so the transaction that took it also deletes it.
        """
        with self._database.transaction() as tx:
            store.delete_ended_jobs(tx, owner_id)  # jobs are locked before their owner
            store.lock_account(tx, owner_id)
            store.remember_erased(tx, owner_id, self._clock())
            return store.delete_account(tx, owner_id)
