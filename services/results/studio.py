"""Where pictures are decoded and encoded: off the event loop, and never so many at once that memory could run out.

Small pictures have two threads for each kind of work, so that who stores a picture does not wait for variants; large
ones have one thread together, so that nobody's thumbnail waits for them. A thread takes 40 MB for a picture of a
megapixel (see `variants`), and all of them together 1.2 GB if each has the largest that it may get.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import structlog

from services.results.png import Picture
from services.results.thumbhash import thumb_hash
from services.results.variants import Unreadable, decode

log = structlog.get_logger()

SMALL_PIXELS = 8 * 1024 * 1024

Work = TypeVar("Work")


class Studio:
    def __init__(self) -> None:
        self._hashing = ThreadPoolExecutor(2, thread_name_prefix="hash")
        self._making = ThreadPoolExecutor(2, thread_name_prefix="variant")
        self._large = ThreadPoolExecutor(1, thread_name_prefix="large-picture")

    def hash(self, picture: Picture) -> Future[bytes]:
        """The picture's ThumbHash; empty if it has none, which is no reason not to keep it."""
        return self._threads(self._hashing, picture.width * picture.height).submit(_hash, picture.data)

    def submit(self, pixels: int, make: Callable[[], Work]) -> Future[Work]:
        """Something that decodes a picture of so many pixels."""
        return self._threads(self._making, pixels).submit(make)

    def _threads(self, usual: ThreadPoolExecutor, pixels: int) -> ThreadPoolExecutor:
        return usual if pixels <= SMALL_PIXELS else self._large


def _hash(data: bytes) -> bytes:
    try:
        return thumb_hash(decode(data))
    except Unreadable as error:
        log.warning("a picture has no ThumbHash", why=str(error))
        return b""
