"""The bytes of one picture while they arrive: never more of them than were announced."""

import hashlib

from services.results.domain import MAX_BYTES, ChecksumMismatch, PictureTooLarge


class Upload:
    """Collects what a header announced: `size_bytes` bytes with this SHA-256 (lower-case hexadecimal).

    Raises PictureTooLarge if more than MAX_BYTES are announced.
    """

    def __init__(self, size_bytes: int, sha256: str) -> None:
        if size_bytes > MAX_BYTES:
            raise PictureTooLarge
        self._size_bytes = size_bytes
        self._sha256 = sha256
        self._data = bytearray()

    def add(self, chunk: bytes) -> None:
        """Raises ChecksumMismatch as soon as there are more bytes than announced."""
        if len(self._data) + len(chunk) > self._size_bytes:
            raise ChecksumMismatch(f"more than {self._size_bytes} bytes came")
        self._data += chunk

    def verified(self) -> memoryview:
        """The announced bytes. Raises ChecksumMismatch if some are missing or differ."""
        if len(self._data) < self._size_bytes:
            raise ChecksumMismatch(f"{len(self._data)} of {self._size_bytes} bytes came")
        if hashlib.sha256(self._data).hexdigest() != self._sha256:
            raise ChecksumMismatch("the SHA-256 is another")
        return memoryview(self._data)
