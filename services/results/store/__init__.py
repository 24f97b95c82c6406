"""Every SQL statement of results."""

from services.results.store.deleting import (
    Deleted,
    delete_result,
    delete_results_of_owner,
    delete_results_of_task,
    delete_some,
)
from services.results.store.erased import (
    delete_tombstones,
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
    find_result,
    get_linked_result,
    get_result,
    is_discarded,
    list_of_tasks,
    list_some,
)
from services.results.store.retention import (
    get_retention_days,
    list_expired,
    lock_expired,
    set_retention_days,
)
from services.results.store.shares import (
    add_share,
    count_attempt,
    count_open_shares,
    delete_shares,
    find_share_of_request,
    find_share_of_token,
    give_attempt_back,
    list_shares,
    lock_result,
    lock_share,
    revoke_share,
    save_share,
)
from services.results.store.tables import (
    metadata,
)
from services.results.store.usage import (
    delete_usage,
    get_total_usage,
    get_usage,
)
from services.results.store.variants import (
    add_variant,
    delete_variant,
    find_variant,
    hold_result,
)

__all__ = [
    "Deleted",
    "add_orphan",
    "add_result",
    "add_share",
    "add_tombstone",
    "add_variant",
    "adopt_orphan",
    "count_attempt",
    "count_open_shares",
    "delete_result",
    "delete_results_of_owner",
    "delete_results_of_task",
    "delete_shares",
    "delete_some",
    "delete_tombstones",
    "delete_usage",
    "delete_variant",
    "doom_orphan",
    "doom_orphans",
    "find_result",
    "find_share_of_request",
    "find_share_of_token",
    "find_variant",
    "get_linked_result",
    "get_result",
    "get_retention_days",
    "get_total_usage",
    "get_usage",
    "give_attempt_back",
    "hold_result",
    "is_discarded",
    "is_erased",
    "list_doomed",
    "list_expired",
    "list_gallery",
    "list_of_tasks",
    "list_shares",
    "list_some",
    "lock_expired",
    "lock_owner",
    "lock_result",
    "lock_share",
    "lock_task",
    "may_have_orphans",
    "metadata",
    "remember_erased",
    "remove_orphan",
    "revoke_share",
    "save_share",
    "set_favorite",
    "set_retention_days",
    "share_owner",
]
