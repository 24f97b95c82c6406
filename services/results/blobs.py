"""The bytes of pictures, by key, in whatever object store a URL names: a folder (`file:///…`), S3 and its like."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from services.runtime.errors import DependencyUnavailable

CHUNK_BYTES = 256 * 1024


class Blobs:
    """Every method raises DependencyUnavailable if the store does not do it now."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._folder = store.prefix if isinstance(store, LocalStore) else None

    @classmethod
    def from_url(cls, url: str) -> "Blobs":
        """The store at `url`; a folder is made if it is not there."""
        if obstore.parse_scheme(url) == "local":
            return cls(LocalStore.from_url(url, mkdir=True))
        # The store's own limit is ten retries in three minutes; our callers' calls are over before that.
        return cls(from_url(url, retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)}))

    def write(self, key: str, data: bytes) -> None:
        """Returns when the bytes will outlive a crash."""
        with _store_errors():
            # In one request: the parts of a multipart upload that a crash interrupts are found by nobody.
            obstore.put(self._store, key, data, use_multipart=False)
        if self._folder:
            _sync(self._folder / key)
            _sync(self._folder)

    async def open(self, key: str, size_bytes: int) -> AsyncIterator[bytes]:
        """The bytes in order, at most CHUNK_BYTES at once.

        Raises FileNotFoundError if there are none under this key, or another number of them.
        """
        with _store_errors():
            found = await obstore.get_async(self._store, key)
        if found.meta["size"] != size_bytes:
            raise FileNotFoundError(key)
        return _chunks(found.stream(min_chunk_size=CHUNK_BYTES))

    def delete(self, key: str) -> None:
        """Returns also if there is nothing under this key."""
        with _store_errors(), suppress(FileNotFoundError):
            obstore.delete(self._store, key)
        if self._folder:
            # A crash in the middle of a write leaves the unfinished file under this name (object_store's LocalStore).
            (self._folder / f"{key}#1").unlink(missing_ok=True)


async def _chunks(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with _store_errors():
        async for block in blocks:
            for at in range(0, len(block), CHUNK_BYTES):
                yield block[at : at + CHUNK_BYTES]


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        raise DependencyUnavailable("the picture store") from error


def _sync(path: Path) -> None:
    """Puts a file or a folder's list of files on the disk for good; a local store leaves it to the kernel's leisure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
