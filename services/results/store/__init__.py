"""Every SQL statement of results."""

from services.results.store.erased import (
    delete_tombstones,
    doom_results,
    is_erased,
    may_have_orphans,
    remember_erased,
)
from services.results.store.gallery import (
    list_gallery,
    set_favorite,
)
from services.results.store.locks import (
    lock_owner,
    lock_task,
    share_owner,
)
from services.results.store.orphans import (
    add_orphan,
    adopt_orphan,
    doom_orphan,
    doom_orphans,
    list_doomed,
    remove_orphan,
)
from services.results.store.results import (
    add_result,
    add_tombstone,
    delete_result,
    delete_results_of_task,
    find_result,
    get_linked_result,
    get_result,
    is_discarded,
    list_of_tasks,
    list_some,
)
from services.results.store.tables import (
    metadata,
)

__all__ = [
    "add_orphan",
    "add_result",
    "add_tombstone",
    "adopt_orphan",
    "delete_result",
    "delete_results_of_task",
    "delete_tombstones",
    "doom_orphan",
    "doom_orphans",
    "doom_results",
    "find_result",
    "get_linked_result",
    "get_result",
    "is_discarded",
    "is_erased",
    "list_doomed",
    "list_gallery",
    "list_of_tasks",
    "list_some",
    "lock_owner",
    "lock_task",
    "may_have_orphans",
    "metadata",
    "remember_erased",
    "remove_orphan",
    "set_favorite",
    "share_owner",
]
