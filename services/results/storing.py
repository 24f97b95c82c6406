"""How pictures come in, and how all of a task or of an owner goes; one transaction a step, bytes outside of them.

Bytes come before the row and go after it, and their key is an orphan meanwhile (see `store.tables`): a crash at any
point leaves a result with its picture, or neither and an orphan for the sweep.
"""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

from services.results import store
from services.results.blobs import Blobs
from services.results.domain import (
    MEDIA_TYPE,
    OwnerId,
    Recipe,
    Result,
    ResultDiscarded,
    ResultId,
    TaskId,
)
from services.results.png import Picture, clean_png
from services.results.studio import Studio
from services.results.sweeping import SWEEP_KEYS, Sweeper
from services.results.upload import Upload
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from services.runtime.ids import uuid7

ERASED_AT_ONCE = 10_000
"""Results of a deleted account, and links, whose rows go in one transaction: a second's work for the database."""


class Storing:
    """Blocks. Every method may raise DependencyUnavailable."""

    def __init__(self, database: Database, blobs: Blobs, sweeper: Sweeper, studio: Studio) -> None:
        self._database = database
        self._blobs = blobs
        self._sweeper = sweeper
        self._studio = studio

    def store_result(self, owner_id: OwnerId, task_id: TaskId, index: int, recipe: Recipe, upload: Upload) -> Result:
        """The result of (task, index): of this picture, or of the one that came first.

        Raises ChecksumMismatch, NotAPicture, PictureTooLarge or ResultDiscarded.
        """
        picture = clean_png(upload.verified())
        result = _new_result(owner_id, task_id, index, recipe, picture)
        key = result.image_url
        with self._database.transaction() as tx:
            store.share_owner(tx, owner_id)
            if store.is_erased(tx, owner_id) or store.is_discarded(tx, task_id, index):
                raise ResultDiscarded
            if first := store.find_result(tx, task_id, index):
                return first
            store.add_orphan(tx, owner_id, key, result.created_at, doomed=False)
        thumb_hash = self._studio.hash(picture)  # while the bytes are written
        self._blobs.write(key, picture.data, result.media_type)
        result = replace(result, thumb_hash=thumb_hash.result())
        with self._database.transaction() as tx:
            store.lock_owner(tx, owner_id)
            store.lock_task(tx, task_id)
            discarded = store.is_erased(tx, owner_id) or store.is_discarded(tx, task_id, index)
            first = store.find_result(tx, task_id, index)
            if not (discarded or first):
                if not store.adopt_orphan(tx, key):
                    # It took longer than MAX_WRITING, and the sweep may have deleted the bytes.
                    raise DependencyUnavailable("the picture store")
                store.add_result(tx, result)
                return store.get_result(tx, owner_id, result.id)
            store.doom_orphan(tx, key)
        self._sweeper.delete([key])
        if first is None:
            raise ResultDiscarded
        return first

    def discard_results(self, owner_id: OwnerId, task_id: TaskId) -> None:
        """Delete what the task has stored and refuse the rest. May be repeated."""
        now = datetime.now(UTC)
        with self._database.transaction() as tx:
            store.share_owner(tx, owner_id)
            if store.is_erased(tx, owner_id):
                return  # nothing comes, and what there is goes
            store.lock_task(tx, task_id)
            deleted = store.delete_results_of_task(tx, owner_id, task_id, now)
            store.add_tombstone(tx, owner_id, task_id, None, now)
        self._sweeper.delete(deleted.keys)

    def erase(self, owner_id: OwnerId) -> bool:
        """Forget a deleted account and take no more; whether nothing is left. To be repeated until it is so.

        A key that is being written belongs to its writer, who finds the account erased and deletes the bytes; if the
        writer has died, to the sweep.
        """
        now = datetime.now(UTC)
        with self._database.transaction() as tx:
            store.lock_owner(tx, owner_id)
            store.remember_erased(tx, owner_id, now)
            store.delete_tombstones(tx, owner_id)
            store.delete_usage(tx, owner_id)
            shares = store.delete_shares(tx, owner_id, ERASED_AT_ONCE)
            results = store.delete_results_of_owner(tx, owner_id, now, ERASED_AT_ONCE).results
            is_last = max(shares, results) < ERASED_AT_ONCE
            keys = store.list_doomed(tx, SWEEP_KEYS, owner_id)
        self._sweeper.delete(keys)
        with self._database.transaction() as tx:
            return is_last and not store.may_have_orphans(tx, owner_id)


def _new_result(owner_id: OwnerId, task_id: TaskId, index: int, recipe: Recipe, picture: Picture) -> Result:
    result_id = ResultId(uuid7())
    return Result(
        id=result_id,
        task_id=task_id,
        owner_id=owner_id,
        index=index,
        image_url=f"{result_id}.png",
        media_type=MEDIA_TYPE,
        width=picture.width,
        height=picture.height,
        size_bytes=len(picture.data),
        sha256=hashlib.sha256(picture.data).hexdigest(),
        created_at=datetime.now(UTC),
        recipe=recipe,
        thumb_hash=b"",
    )
