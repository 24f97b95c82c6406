"""How pictures go out."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import structlog
from prometheus_client import Counter

from services.results import store
from services.results.blobs import Blobs
from services.results.domain import OwnerId, PictureLost, Result, ResultId
from services.results.links import ImageLink, ImageLinks
from services.runtime.database import Database

log = structlog.get_logger()

PICTURES_LOST = Counter("imagegen_results_pictures_lost_total", "Reads of pictures whose bytes the store had lost.")


class Delivery:
    """Blocks, except where a method is a coroutine. Every method may raise DependencyUnavailable."""

    def __init__(self, database: Database, blobs: Blobs, links: ImageLinks) -> None:
        self._database = database
        self._blobs = blobs
        self._links = links

    def owned(self, owner_id: OwnerId, result_id: ResultId) -> Result:
        """For its owner. Raises ResultNotFound."""
        with self._database.transaction() as tx:
            return store.get_result(tx, owner_id, result_id)

    def image_link(self, result_id: ResultId) -> ImageLink:
        """The link to hand out now."""
        return self._links.sign(result_id, datetime.now(UTC))

    def linked(self, result_id: ResultId, link: ImageLink) -> Result:
        """For who has shown a link. Raises LinkInvalid or ResultNotFound."""
        self._links.check(result_id, link, datetime.now(UTC))
        with self._database.transaction() as tx:
            return store.get_linked_result(tx, result_id)

    async def open_picture(self, result: Result) -> AsyncIterator[bytes]:
        """The picture's bytes in order. Raises ResultNotFound if it has been deleted meanwhile, PictureLost."""
        try:
            return await self._blobs.open(result.image_url, result.size_bytes)
        except FileNotFoundError as error:
            await asyncio.to_thread(self.owned, result.owner_id, result.id)
            PICTURES_LOST.inc()
            log.exception("the store has lost a picture", result_id=str(result.id), store_key=result.image_url)
            raise PictureLost from error
