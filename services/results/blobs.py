"""The bytes of pictures, by key, in the object store that a URL names: a folder, S3 and its like, or memory."""

import ipaddress
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store
from prometheus_client import Counter

from services.runtime.errors import DependencyUnavailable

if TYPE_CHECKING:
    from obstore.store import S3Config

log = structlog.get_logger()

STORE_FAILURES = Counter("imagegen_results_store_failures_total", "What the picture store did not do when asked.")

CHUNK_BYTES = 256 * 1024
MAX_SIGNED = timedelta(minutes=10)
"""Nobody can take a signed URL back."""

# Whoever waits for a picture to be stored waits 30 s (the worker's STORE_TIMEOUT_SECONDS). The worst case is shorter:
# retries for 5 s, then a last request of 20 s. The store's own limit would be three minutes.
_MAX_RETRIES = 2
_RETRY_FOR = timedelta(seconds=5)
_CONNECT = timedelta(seconds=3)
_SILENCE = timedelta(seconds=20)
"""Between two reads of an answer; before its first byte it covers the whole upload, so 64 MiB need 27 Mbit/s."""
_WHOLE_REQUEST = timedelta(minutes=10)
"""A download goes at its reader's pace, whose own patience (the gateway's DOWNLOAD_SECONDS) ends by then."""

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_S3_CODE = re.compile(r"<Code>(\w+)</Code>")


@dataclass(frozen=True, kw_only=True)
class S3Options:
    """What the URL of a bucket does not say.

    Attributes:
        endpoint: `https://host`, without the bucket, of a service that is not AWS.
        region: None: what AWS_REGION says, or else us-east-1.
        access_key_id, secret_access_key: None: those of the environment (`AWS_…`), or of the identity that AWS gives
            to the pod or the machine.
        virtual_hosted: whether the bucket is a part of the host's name, or else of the path.
    """

    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    virtual_hosted: bool = True


AWS = S3Options()


class Blobs:
    """Every method raises DependencyUnavailable if the store does not do it now, and the log says why."""

    def __init__(self, store: LocalStore | MemoryStore | S3Store, *, redirects: bool = False) -> None:
        """`redirects`: whether others than this service can reach the store, and so may get signed URLs."""
        self._store: ObjectStore = store
        self._folder = store.prefix if isinstance(store, LocalStore) else None
        self._signer = store if redirects and isinstance(store, S3Store) else None

    @classmethod
    def from_url(cls, url: str, s3: S3Options = AWS, *, redirects: bool = False) -> "Blobs":
        """The store at `url`: `file:///folder`, which is made if it is not there, `s3://bucket/prefix`, `memory:///`.

        Raises ValueError, which names the setting and quotes nothing: this is no such URL, or `s3` does not fit it.
        """
        parts = urlsplit(url)
        if parts.query or parts.fragment:
            raise ValueError("RESULTS_STORE_URL has no use for what follows the path")
        if parts.scheme == "s3":
            return cls(_s3_store(parts, s3), redirects=redirects)
        if s3 != AWS:
            raise ValueError("of RESULTS_STORE_…, this URL needs no other: the rest is for s3://bucket")
        if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
            return cls(LocalStore.from_url(url, mkdir=True), redirects=redirects)
        if url == "memory:///":
            return cls(MemoryStore(), redirects=redirects)
        raise ValueError("RESULTS_STORE_URL is neither file:///folder nor s3://bucket/prefix")

    def write(self, key: str, data: bytes, media_type: str) -> None:
        """Returns when the bytes will outlive a crash. A repeat replaces them."""
        with _store_errors(absence_is_an_answer=False):
            # In one request: the parts of a multipart upload that a crash interrupts are found by nobody.
            if self._folder is None:
                attributes = {"Content-Type": media_type}
                obstore.put(self._store, key, data, use_multipart=False, attributes=attributes)
                return
            obstore.put(self._store, key, data, use_multipart=False)
            _sync(self._folder / key)
            for folder in Path(key).parents:
                _sync(self._folder / folder)

    def read(self, key: str) -> bytes:
        """All bytes. Raises FileNotFoundError."""
        with _store_errors():
            return bytes(obstore.get(self._store, key).bytes())

    async def open(self, key: str, size_bytes: int, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `offset` on in order, `length` of them or to the end, at most CHUNK_BYTES at once.

        Raises FileNotFoundError if there are none under this key, or the whole has another number of bytes than
        `size_bytes`.
        """
        end = size_bytes if length is None else min(offset + length, size_bytes)
        if not 0 <= offset <= end:
            raise ValueError(f"no part of {size_bytes} bytes: {length} from {offset} on")
        is_part = (offset, end) != (0, size_bytes)
        with _store_errors():
            # A part that is not there is answered as any error, so the size comes first.
            found = await obstore.get_async(self._store, key, options={"head": is_part})
            if found.meta["size"] != size_bytes:
                raise FileNotFoundError(key)
            if offset == end:
                return _nothing()
            if is_part:
                found = await obstore.get_async(self._store, key, options={"range": (offset, end)})
        return _chunks(found.stream(min_chunk_size=CHUNK_BYTES))

    def delete(self, key: str) -> None:
        """Returns also if there is nothing under this key."""
        with suppress(FileNotFoundError), _store_errors():
            obstore.delete(self._store, key)
        if self._folder is not None:
            with _store_errors():
                _delete_unfinished(self._folder / key)

    def sign(self, key: str, lifetime: timedelta) -> str | None:
        """A URL that gives the object to whoever asks within the lifetime, a second to MAX_SIGNED.

        None if this store cannot sign, or clients cannot reach it.
        """
        if not timedelta(seconds=1) <= lifetime <= MAX_SIGNED:
            raise ValueError(f"a signed URL lives for a second to {MAX_SIGNED}, and not for {lifetime}")
        if self._signer is None:
            return None
        with _store_errors():
            return obstore.sign(self._signer, "GET", key, lifetime)


def _s3_store(url: SplitResult, s3: S3Options) -> S3Store:
    bucket = url.netloc
    if not _BUCKET.fullmatch(bucket):
        raise ValueError("RESULTS_STORE_URL names no bucket: it is not s3://bucket/prefix")
    if (s3.access_key_id is None) != (s3.secret_access_key is None):
        raise ValueError("RESULTS_STORE_ACCESS_KEY_ID and RESULTS_STORE_SECRET_ACCESS_KEY go together: both or none")
    config: S3Config = {
        "virtual_hosted_style_request": s3.virtual_hosted,
        "disable_bulk_delete": True,  # OSS has none, and we delete one by one
    }
    if s3.endpoint is not None:
        config["endpoint"] = _endpoint(s3.endpoint, bucket, virtual_hosted=s3.virtual_hosted)
    if s3.region is not None:
        config["region"] = s3.region
    if s3.access_key_id is not None and s3.secret_access_key is not None:
        config["access_key_id"] = s3.access_key_id
        config["secret_access_key"] = s3.secret_access_key
    return S3Store(
        bucket,
        prefix=url.path.strip("/") or None,
        config=config,
        client_options={
            "allow_http": s3.endpoint is not None and urlsplit(s3.endpoint).scheme == "http",
            "connect_timeout": _CONNECT,
            "read_timeout": _SILENCE,
            "timeout": _WHOLE_REQUEST,
        },
        retry_config={"max_retries": _MAX_RETRIES, "retry_timeout": _RETRY_FOR},
    )


def _endpoint(url: str, bucket: str, *, virtual_hosted: bool) -> str:
    """As the library wants it: with the bucket before the host, if that is the style (obstore's issue 754)."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or "@" in url:
        raise ValueError("RESULTS_STORE_ENDPOINT is neither https://host nor http://host:port")
    if not virtual_hosted:
        return url.rstrip("/")
    if _is_an_address(parts.hostname):
        raise ValueError(f"no bucket can stand before {parts.hostname}: set RESULTS_STORE_VIRTUAL_HOSTED=false")
    if parts.hostname.startswith(f"{bucket}."):
        raise ValueError("RESULTS_STORE_ENDPOINT is the service's, without the bucket")
    return parts._replace(netloc=f"{bucket}.{parts.netloc}").geturl().rstrip("/")


def _is_an_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in list[bytes]():
        yield chunk


async def _chunks(blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with _store_errors(absence_is_an_answer=False):
        async for block in blocks:
            for at in range(0, len(block), CHUNK_BYTES):
                yield block[at : at + CHUNK_BYTES]


@contextmanager
def _store_errors(*, absence_is_an_answer: bool = True) -> Iterator[None]:
    """FileNotFoundError passes if that is an answer, and it is about the key: S3 says it of a bucket, too."""
    try:
        yield
    except (BaseError, OSError) as error:
        text, code = str(error), _S3_CODE.search(str(error))
        is_about_the_key = code is None or code[1] != "NoSuchBucket"
        if absence_is_an_answer and isinstance(error, FileNotFoundError) and is_about_the_key:
            raise
        STORE_FAILURES.inc()
        # Not the rest of the answer: to a wrong secret it holds the signature.
        log.warning("the picture store failed", error=text.partition("\n")[0].partition("<")[0], code=code and code[1])
        raise DependencyUnavailable("the picture store") from error


def _delete_unfinished(path: Path) -> None:
    """What crashes in the middle of writes have left, under these names (object_store's LocalFileSystem)."""
    with suppress(FileNotFoundError):
        for number in count(1):
            path.with_name(f"{path.name}#{number}").unlink()


def _sync(path: Path) -> None:
    """Puts a file or a folder's list of files on the disk for good; a local store leaves it to the kernel's leisure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
