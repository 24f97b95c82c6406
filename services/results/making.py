"""How variants come to be: each once, when it is first asked for, and thumbnails before that.

The first of a result's variants to be kept wins, whichever replica made it. Its bytes come before its row, as those of
a result do (see `storing`); the row is added only while the result is there, so that no variant outlives it.
"""

import asyncio
import hashlib
from collections.abc import Hashable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import structlog

from services.results import store
from services.results.blobs import Blobs
from services.results.domain import Result, ResultNotFound, Variant
from services.results.studio import Studio
from services.results.sweeping import Sweeper
from services.results.variants import Format, Shape, choose, decode, encode
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from services.runtime.ids import uuid7

log = structlog.get_logger()

THUMBNAIL_WIDTH = 320
"""What `thumbnail_url` asks for (gateway/results.py), as WebP."""

MAX_ANNOUNCED = 1000
"""Thumbnails that wait to be made; of further pictures they are made when somebody looks."""


class VariantMaker:
    """Belongs to one event loop; nothing blocks it."""

    def __init__(self, database: Database, blobs: Blobs, sweeper: Sweeper, studio: Studio) -> None:
        self._database = database
        self._blobs = blobs
        self._sweeper = sweeper
        self._studio = studio
        self._under_way: dict[Hashable, asyncio.Task[Variant]] = {}
        self._announced: asyncio.Queue[Result] = asyncio.Queue(MAX_ANNOUNCED)

    async def variant(self, result: Result, shape: Shape) -> Variant:
        """The one that there is, or else a new one. Who asks for the same meanwhile waits for the same work, and it
        goes on when any of them leaves.

        Raises FileNotFoundError if the store has lost the picture, ResultNotFound if it was deleted meanwhile,
        Unreadable or DependencyUnavailable.
        """
        key = (result.id, shape)
        if key not in self._under_way:
            self._under_way[key] = task = asyncio.create_task(self._find_or_make(result, shape))
            task.add_done_callback(partial(self._end, key))
        return await asyncio.shield(self._under_way[key])

    def announce(self, result: Result) -> None:
        """Somebody will soon want to see it."""
        with suppress(asyncio.QueueFull):
            self._announced.put_nowait(result)

    async def make_thumbnails(self) -> None:
        """For ever: those of announced results, one after the other."""
        while True:
            result = await self._announced.get()
            shape = choose(result.width, result.height, THUMBNAIL_WIDTH, [Format.WEBP])
            try:
                if shape:
                    await self.variant(result, shape)
            except Exception as error:  # noqa: BLE001 - whoever looks at it will be told
                log.warning("a thumbnail was not made", result_id=str(result.id), kind=type(error).__name__)

    async def forget(self, result: Result, variant: Variant) -> None:
        """The store has lost its bytes. The next who wants it gets a new one."""
        await asyncio.to_thread(self._forget, result, variant)

    async def _find_or_make(self, result: Result, shape: Shape) -> Variant:
        if found := await asyncio.to_thread(self._find, result, shape):
            return found
        encoding = self._studio.submit(result.width * result.height, partial(self._encode, result, shape))
        data = await asyncio.wrap_future(encoding)
        return await asyncio.to_thread(self._keep, result, shape, data)

    def _end(self, key: Hashable, task: asyncio.Task[Variant]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # has been seen, even if all who waited have left

    def _find(self, result: Result, shape: Shape) -> Variant | None:
        with self._database.transaction() as tx:
            return store.find_variant(tx, result.id, shape.format.value, shape.width)

    def _encode(self, result: Result, shape: Shape) -> bytes:
        data = self._blobs.read(result.image_url)
        if len(data) != result.size_bytes:
            raise FileNotFoundError(result.image_url)
        return encode(decode(data, (shape.width, shape.height)), shape.format)

    def _keep(self, result: Result, shape: Shape, data: bytes) -> Variant:
        """This variant, or the one that another replica was faster with."""
        variant = _new_variant(result, shape, data)
        key = variant.store_key
        with self._database.transaction() as tx:
            store.share_owner(tx, result.owner_id)
            if store.is_erased(tx, result.owner_id) or not store.hold_result(tx, result.id):
                raise ResultNotFound
            store.add_orphan(tx, result.owner_id, key, variant.created_at, doomed=False)
        self._blobs.write(key, data, variant.media_type)
        with self._database.transaction() as tx:
            store.share_owner(tx, result.owner_id)
            is_there = store.hold_result(tx, result.id)
            if is_there and store.add_variant(tx, variant):
                if not store.adopt_orphan(tx, key):
                    # It took longer than MAX_WRITING, and the sweep may have deleted the bytes.
                    raise DependencyUnavailable("the picture store")
                return variant
            store.doom_orphan(tx, key)
            first = store.find_variant(tx, result.id, variant.media_type, variant.width)
        self._sweeper.delete([key])
        if first is None:
            raise ResultNotFound
        return first

    def _forget(self, result: Result, variant: Variant) -> None:
        with self._database.transaction() as tx:
            store.share_owner(tx, result.owner_id)
            if store.delete_variant(tx, variant.store_key):
                store.add_orphan(tx, result.owner_id, variant.store_key, datetime.now(UTC), doomed=True)
        self._sweeper.delete([variant.store_key])


def _new_variant(result: Result, shape: Shape, data: bytes) -> Variant:
    return Variant(
        result_id=result.id,
        media_type=shape.format.value,
        width=shape.width,
        height=shape.height,
        store_key=f"{uuid7()}.{shape.format.extension}",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        created_at=datetime.now(UTC),
    )
