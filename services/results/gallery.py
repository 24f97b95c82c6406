"""What people see of their results, and what they do with them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from services.results import store
from services.results.domain import Filter, OwnerId, RecipeUnknown, Result, ResultId, TaskId
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

    def get_painted(self, owner_id: OwnerId, result_id: ResultId) -> Result:
        """One whose recipe is known. Raises ResultNotFound or RecipeUnknown."""
        result = self.get_result(owner_id, result_id)
        if not result.recipe.model:
            raise RecipeUnknown
        return result

    def page(self, owner_id: OwnerId, wanted: Filter, *, before: UUID | None, limit: int) -> tuple[list[Result], bool]:
        """A page after the result `before`, newest first, and whether there are more."""
        with self._database.transaction() as tx:
            found = store.list_gallery(tx, owner_id, wanted, before=before, limit=limit + 1)
        return found[:limit], len(found) > limit

    def list_of_tasks(self, owner_id: OwnerId, task_ids: Sequence[TaskId]) -> list[Result]:
        """By task and index."""
        with self._database.transaction() as tx:
            return store.list_of_tasks(tx, owner_id, task_ids)

    def list_some(self, owner_id: OwnerId, result_ids: Sequence[ResultId]) -> list[Result]:
        """Those that are there, newest first."""
        with self._database.transaction() as tx:
            return store.list_some(tx, owner_id, result_ids)

    def set_favorite(self, owner_id: OwnerId, result_id: ResultId, *, favorite: bool) -> None:
        """Raises ResultNotFound."""
        with self._database.transaction() as tx:
            store.set_favorite(tx, owner_id, result_id, datetime.now(UTC), favorite=favorite)

    def delete_result(self, owner_id: OwnerId, result_id: ResultId) -> None:
        """Raises ResultNotFound."""
        now = datetime.now(UTC)
        with self._database.transaction() as tx:
            store.share_owner(tx, owner_id)
            result = store.get_result(tx, owner_id, result_id)
            store.lock_task(tx, result.task_id)
            deleted = store.delete_result(tx, owner_id, result_id, now)
            store.add_tombstone(tx, owner_id, result.task_id, result.index, now)
        self._sweeper.delete(deleted.keys)

    def delete_results(self, owner_id: OwnerId, result_ids: Sequence[ResultId]) -> set[ResultId]:
        """Delete those that are there, all at once; which those were. The bytes are left to the sweep, since a hundred
        deletions in a distant store last longer than a caller waits.
        """
        now = datetime.now(UTC)
        with self._database.transaction() as tx:
            store.share_owner(tx, owner_id)
            for task_id in sorted({result.task_id for result in store.list_some(tx, owner_id, result_ids)}):
                store.lock_task(tx, task_id)
            # What has gone while its task's lock was waited for is no longer there.
            found = store.list_some(tx, owner_id, result_ids)
            for result in found:
                store.add_tombstone(tx, owner_id, result.task_id, result.index, now)
            store.delete_some(tx, owner_id, [result.id for result in found], now)
        return {result.id for result in found}
