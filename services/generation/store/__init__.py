"""Every SQL statement of generation."""

from services.generation.store.erased import is_erased, remember_erased
from services.generation.store.models import get_model, is_catalogue_known, list_models, save_catalogue
from services.generation.store.tables import metadata
from services.generation.store.tasks import (
    Listed,
    count_unfinished,
    delete_tasks,
    find_request,
    get_task,
    insert_task,
    list_canceling,
    list_ended,
    list_followed,
    list_submitted,
    list_tasks,
    lock_older,
    lock_owner,
    lock_unsubmitted,
    recent_prompts,
    save_task,
)

__all__ = [
    "Listed",
    "count_unfinished",
    "delete_tasks",
    "find_request",
    "get_model",
    "get_task",
    "insert_task",
    "is_catalogue_known",
    "is_erased",
    "list_canceling",
    "list_ended",
    "list_followed",
    "list_models",
    "list_submitted",
    "list_tasks",
    "lock_older",
    "lock_owner",
    "lock_unsubmitted",
    "metadata",
    "recent_prompts",
    "remember_erased",
    "save_catalogue",
    "save_task",
]
