"""How pictures go out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import Counter

from services.results import store
from services.results.blobs import Blobs
from services.results.domain import ByteRange, OwnerId, PictureLost, Result, ResultId, Variant
from services.results.file_names import file_name
from services.results.links import ImageLink, ImageLinks
from services.results.making import VariantMaker
from services.results.variants import Format, Unreadable, choose
from services.runtime.database import Database

log = structlog.get_logger()

PICTURES_LOST = Counter("imagegen_results_pictures_lost_total", "Reads of pictures whose bytes the store had lost.")

SIGNED_FOR = timedelta(minutes=5)
"""Long enough for a slow client to begin; who deletes a picture wants it gone."""


@dataclass(frozen=True)
class Wanted:
    """What a reader would like: at most so wide, in one of these formats (best first), which bytes, and whether the
    store may hand them out itself.
    """

    width: int | None = None
    formats: Sequence[Format] = ()
    range: ByteRange | None = None
    if_range_sha256: str = ""
    """The range is meant of these bytes; if they are others, the whole is wanted. Empty: of any."""
    redirect: bool = False


@dataclass(frozen=True)
class Sent:
    """What a reader gets: `length` bytes of a variant, from `offset` on; or a URL of the store, for so many seconds."""

    variant: Variant
    file_name: str
    offset: int
    length: int
    redirect_url: str = ""
    redirect_seconds: int = 0


class Delivery:
    """Blocks, except where a method is a coroutine. Every method may raise DependencyUnavailable."""

    def __init__(self, database: Database, blobs: Blobs, links: ImageLinks, maker: VariantMaker) -> None:
        self._database = database
        self._blobs = blobs
        self._links = links
        self._maker = maker

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

    async def open(self, result: Result, wanted: Wanted) -> tuple[Sent, AsyncIterator[bytes]]:
        """What is sent, and its bytes in order.

        Raises RangeNotSatisfiable, ResultNotFound if it has been deleted meanwhile, PictureLost.
        """
        try:
            variant = await self._chosen(result, wanted)
            try:
                return await self._open(result, variant, wanted)
            except FileNotFoundError:
                if variant.store_key == result.image_url:
                    raise
                log.warning("the store has lost a variant", result_id=str(result.id), store_key=variant.store_key)
                await self._maker.forget(result, variant)
                return await self._open(result, await self._chosen(result, wanted), wanted)
        except FileNotFoundError as error:
            await asyncio.to_thread(self.owned, result.owner_id, result.id)
            PICTURES_LOST.inc()
            log.error(  # noqa: TRY400 - the key says it all
                "the store has lost a picture", result_id=str(result.id), store_key=result.image_url
            )
            raise PictureLost from error

    async def _chosen(self, result: Result, wanted: Wanted) -> Variant:
        shape = choose(result.width, result.height, wanted.width, wanted.formats or [Format.PNG])
        if shape is None:
            return result.as_stored
        try:
            return await self._maker.variant(result, shape)
        except Unreadable as error:
            log.warning("a picture is sent as it is stored", result_id=str(result.id), why=str(error))
            return result.as_stored

    async def _open(self, result: Result, variant: Variant, wanted: Wanted) -> tuple[Sent, AsyncIterator[bytes]]:
        key, size = variant.store_key, variant.size_bytes
        name = file_name(result.recipe.prompt, result.index, Format(variant.media_type).extension)
        if wanted.redirect and (url := await asyncio.to_thread(self._blobs.sign, key, SIGNED_FOR)):
            nothing = await self._blobs.open(key, size, 0, 0)  # raises if nothing is there
            return Sent(variant, name, 0, 0, url, int(SIGNED_FOR.total_seconds())), nothing
        offset, length = 0, size
        if wanted.range and wanted.if_range_sha256 in ("", variant.sha256):
            offset, length = wanted.range.within(size)
        return Sent(variant, name, offset, length), await self._blobs.open(key, size, offset, length)
