"""What people see of their results, and what they do with them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from services.results import store
from services.results.domain import OwnerId, Result, ResultId, TaskId
from services.results.sweeping import Sweeper
from services.runtime.database import Database

DEFAULT_PAGE_SIZE = 20


class Gallery:
    """Blocks. Every method may raise DependencyUnavailable."""

    def __init__(self, database: Database, sweeper: Sweeper) -> None:
        self._database = database
        self._sweeper = sweeper

    def get_result(self, owner_id: OwnerId, result_id: ResultId) -> Result:
        """Raises ResultNotFound."""
        with self._database.transaction() as tx:
            return store.get_result(tx, owner_id, result_id)

    def list_newest(self, owner_id: OwnerId, *, before: UUID | None, limit: int) -> tuple[list[Result], bool]:
        """A page after the result `before`, newest first, and whether there are more; limit 0 is the default."""
        limit = limit or DEFAULT_PAGE_SIZE
        with self._database.transaction() as tx:
            found = store.list_newest(tx, owner_id, before=before, limit=limit + 1)
        return found[:limit], len(found) > limit

    def list_of_tasks(self, owner_id: OwnerId, task_ids: Sequence[TaskId]) -> list[Result]:
        """By task and index."""
        with self._database.transaction() as tx:
            return store.list_of_tasks(tx, owner_id, task_ids)

    def delete_result(self, owner_id: OwnerId, result_id: ResultId) -> None:
        """Raises ResultNotFound."""
        now = datetime.now(UTC)
        with self._database.transaction() as tx:
            store.share_owner(tx, owner_id)
            result = store.get_result(tx, owner_id, result_id)
            store.lock_task(tx, result.task_id)
            store.delete_result(tx, owner_id, result_id)
            store.add_tombstone(tx, owner_id, result.task_id, result.index, now)
            store.add_orphan(tx, owner_id, result.image_url, now, doomed=True)
        self._sweeper.delete([result.image_url])
