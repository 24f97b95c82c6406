"""What results can do; one transaction a step, bytes outside of them.

Bytes come before the row and go after it, and their key is an orphan meanwhile (see `store`): a crash at any point
leaves a result with its picture, or neither and an orphan for `sweep`.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter

from services.results import store
from services.results.blobs import Blobs
from services.results.domain import (
    MEDIA_TYPE,
    OwnerId,
    PictureLost,
    Result,
    ResultDiscarded,
    ResultId,
    TaskId,
)
from services.results.links import ImageLink, ImageLinks
from services.results.png import Picture, clean_png
from services.results.upload import Upload
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from services.runtime.ids import uuid7

log = structlog.get_logger()

PICTURES_LOST = Counter("imagegen_results_pictures_lost_total", "Reads of pictures whose bytes the store had lost.")

DEFAULT_PAGE_SIZE = 20

MAX_WRITING = timedelta(hours=1)
"""A write takes seconds, so its process is gone; one that lives on after all cannot adopt its key any more."""
SWEEP_KEYS = 1000
"""As many as one sweep deletes, or one step of an erasure."""
ERASED_AT_ONCE = 10_000
"""Results of a deleted account whose rows go in one transaction: a second's work for the database."""


class Results:
    """Blocks, except where a method is a coroutine. Every method may raise DependencyUnavailable."""

    def __init__(self, database: Database, blobs: Blobs, links: ImageLinks) -> None:
        self._database = database
        self._blobs = blobs
        self._links = links

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
        self._delete_bytes([result.image_url])

    def discard_results(self, owner_id: OwnerId, task_id: TaskId) -> None:
        """Delete what the task has stored and refuse the rest. May be repeated."""
        now = datetime.now(UTC)
        with self._database.transaction() as tx:
            store.share_owner(tx, owner_id)
            if store.is_erased(tx, owner_id):
                return  # nothing comes, and what there is goes
            store.lock_task(tx, task_id)
            keys = store.delete_results_of_task(tx, owner_id, task_id)
            store.add_tombstone(tx, owner_id, task_id, None, now)
            for key in keys:
                store.add_orphan(tx, owner_id, key, now, doomed=True)
        self._delete_bytes(keys)

    def store_result(self, owner_id: OwnerId, task_id: TaskId, index: int, upload: Upload) -> Result:
        """The result of (task, index): of this picture, or of the one that came first.

        Raises ChecksumMismatch, NotAPicture, PictureTooLarge or ResultDiscarded.
        """
        picture = clean_png(upload.verified())
        result = _new_result(owner_id, task_id, index, picture)
        key = result.image_url
        with self._database.transaction() as tx:
            store.share_owner(tx, owner_id)
            if store.is_erased(tx, owner_id) or store.is_discarded(tx, task_id, index):
                raise ResultDiscarded
            if first := store.find_result(tx, task_id, index):
                return first
            store.add_orphan(tx, owner_id, key, result.created_at, doomed=False)
        self._blobs.write(key, picture.data)
        with self._database.transaction() as tx:
            store.share_owner(tx, owner_id)
            store.lock_task(tx, task_id)
            discarded = store.is_erased(tx, owner_id) or store.is_discarded(tx, task_id, index)
            first = store.find_result(tx, task_id, index)
            if not (discarded or first):
                if not store.adopt_orphan(tx, key):
                    # It took longer than MAX_WRITING, and the sweep may have deleted the bytes.
                    raise DependencyUnavailable("the picture store")
                store.add_result(tx, result)
                return result
            store.doom_orphan(tx, key)
        self._delete_bytes([key])
        if first is None:
            raise ResultDiscarded
        return first

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
            is_last = store.doom_results(tx, owner_id, now, ERASED_AT_ONCE) < ERASED_AT_ONCE
            keys = store.list_doomed(tx, SWEEP_KEYS, owner_id)
        self._delete_bytes(keys)
        with self._database.transaction() as tx:
            return is_last and not store.may_have_orphans(tx, owner_id)

    def image_link(self, result_id: ResultId) -> ImageLink:
        """The link to hand out now."""
        return self._links.sign(result_id, datetime.now(UTC))

    def get_linked_result(self, result_id: ResultId, link: ImageLink) -> Result:
        """Raises LinkInvalid or ResultNotFound."""
        self._links.check(result_id, link, datetime.now(UTC))
        with self._database.transaction() as tx:
            return store.get_linked_result(tx, result_id)

    async def open_picture(self, result: Result) -> AsyncIterator[bytes]:
        """The picture's bytes in order. Raises ResultNotFound if it has been deleted meanwhile, PictureLost."""
        try:
            return await self._blobs.open(result.image_url, result.size_bytes)
        except FileNotFoundError as error:
            await asyncio.to_thread(self.get_result, result.owner_id, result.id)
            PICTURES_LOST.inc()
            log.exception("the store has lost a picture", result_id=str(result.id), store_key=result.image_url)
            raise PictureLost from error

    def sweep(self) -> None:
        """Delete the bytes that crashes have left without a result."""
        with self._database.transaction() as tx:
            store.doom_orphans(tx, older_than=datetime.now(UTC) - MAX_WRITING)
            keys = store.list_doomed(tx, SWEEP_KEYS)
        self._delete_bytes(keys)

    def _delete_bytes(self, keys: Iterable[str]) -> None:
        """Of doomed orphans. What cannot be deleted now stays for the sweep."""
        for key in keys:
            try:
                self._blobs.delete(key)
                with self._database.transaction() as tx:
                    store.remove_orphan(tx, key)
            except DependencyUnavailable as error:
                log.warning("bytes are left for the sweep", store_key=key, error=str(error))


def _new_result(owner_id: OwnerId, task_id: TaskId, index: int, picture: Picture) -> Result:
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
    )
