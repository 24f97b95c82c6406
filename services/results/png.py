"""PNG pictures: whole and undamaged to the last bit or refused, and freed of all that is not the picture.

Sections below are those of the W3C's Portable Network Graphics Specification, third edition.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from services.results.domain import MAX_PIXELS, NotAPicture, PictureTooLarge

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
KEPT = CRITICAL | {b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"pHYs"}
"""Pixels, and what their colours and shape mean (§11.3.1 to §11.3.2). Texts, dates and private chunks go: ComfyUI
writes the whole graph, prompt included, into tEXt (docs/comfyui-protocol.md)."""

MAX_CHUNKS = 65_536
"""Eight times what libpng's pieces of 8 KiB make of the largest picture; bounds the memory that a walk takes."""

SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type → samples a pixel (§6.1)."""
DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
"""Colour type → bits a sample (§11.2.1)."""
PALETTE = 3

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row of each interlace pass, and its steps to the next (§8.1)."""
FILTERS = bytes(range(5))
"""Each row begins with the number of its filter (§9.2)."""

READ_BYTES = 64 * 1024
INFLATE_BYTES = 1024 * 1024
"""Compressed bytes go in and pixels come out by such blocks, so that a zip bomb costs no more memory than a picture."""


@dataclass(frozen=True)
class Picture:
    """A clean PNG: its bytes, and its width and height in pixels."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True)
class _Header:
    """IHDR (§11.2.1)."""

    width: int
    height: int
    depth: int
    color: int
    interlaced: bool

    @classmethod
    def read(cls, kind: bytes, body: memoryview) -> "_Header":
        if kind != b"IHDR" or len(body) != 13:
            raise NotAPicture("it does not begin with IHDR")
        width, height = int.from_bytes(body[:4]), int.from_bytes(body[4:8])
        depth, color, compression, filtering, interlace = body[8:]
        if not (width and height and depth in DEPTHS.get(color, ())):
            raise NotAPicture("IHDR makes no sense")
        if compression or filtering or interlace > 1:
            raise NotAPicture("it is coded in an unknown way")
        if width * height > MAX_PIXELS:
            raise PictureTooLarge
        return cls(width, height, depth, color, bool(interlace))

    def passes(self) -> Iterator[tuple[int, int]]:
        """Bytes of a row, its filter included, and rows, of every pass that has pixels."""
        for left, top, right, down in ADAM7 if self.interlaced else ((0, 0, 1, 1),):
            width, height = -((left - self.width) // right), -((top - self.height) // down)
            if width > 0 and height > 0:
                yield 1 + (width * SAMPLES[self.color] * self.depth + 7) // 8, height


def clean_png(data: memoryview) -> Picture:
    """The same pixels, not encoded anew, without what does not belong to the picture.

    Raises:
        NotAPicture: anything but one undamaged PNG from the first byte to the last.
        PictureTooLarge: more than MAX_PIXELS; found before a pixel is decoded.
    """
    chunks = _chunks(data)
    kind, first = next(chunks)
    header = _Header.read(kind, first[8:-4])
    kinds, kept, pixels = [kind], [first], []
    for kind, chunk in chunks:
        if len(kinds) == MAX_CHUNKS:
            raise NotAPicture("it has too many chunks")
        if kind not in CRITICAL and not kind[0] & 0x20:
            raise NotAPicture("it has an unknown critical chunk")
        kinds.append(kind)
        if kind in KEPT:
            kept.append(chunk)
        if kind == b"IDAT":
            pixels.append(chunk[8:-4])
    _check_order(kinds, header)
    _check_pixels(header, _inflate(pixels))
    return Picture(b"".join([SIGNATURE, *kept]), header.width, header.height)


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The kind of each chunk and all of its bytes: length, kind, body, CRC (§5.3). Raises NotAPicture."""
    if data[:8] != SIGNATURE:
        raise NotAPicture("the signature is not there")
    at, kind = 8, b""
    while kind != b"IEND":
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if end > len(data):
            raise NotAPicture("it is cut short")
        kind = bytes(data[at + 4 : at + 8])
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise NotAPicture("a chunk is damaged")
        yield kind, data[at:end]
        at = end
    if at != len(data):
        raise NotAPicture("something follows its end")


def _check_order(kinds: list[bytes], header: _Header) -> None:
    """The rules of §5.6 that pixels depend on. Raises NotAPicture."""
    runs = [kind for kind, _ in groupby(kinds)]
    if kinds.count(b"IHDR") != 1 or runs.count(b"IDAT") != 1 or kinds.count(b"PLTE") > 1:
        raise NotAPicture("its chunks are out of order")
    before_pixels = runs[: runs.index(b"IDAT")]
    if b"PLTE" in runs and b"PLTE" not in before_pixels:
        raise NotAPicture("its palette comes too late")
    if header.color == PALETTE and b"PLTE" not in runs:
        raise NotAPicture("it has no palette")


def _inflate(pieces: Iterable[memoryview]) -> Iterator[bytes]:
    """One zlib stream (RFC 1950), its checksum verified, by blocks of at most INFLATE_BYTES. Raises NotAPicture."""
    stream = zlib.decompressobj()
    try:
        for piece in pieces:
            for at in range(0, len(piece), READ_BYTES):
                unread: bytes | memoryview = piece[at : at + READ_BYTES]
                while unread and not stream.eof:
                    yield stream.decompress(unread, INFLATE_BYTES)
                    unread = stream.unconsumed_tail
                if unread or stream.unused_data:
                    raise NotAPicture("something hides behind its pixels")
        yield stream.flush()
    except zlib.error as error:
        raise NotAPicture("its pixels are damaged") from error
    if not stream.eof:
        raise NotAPicture("its pixels are cut short")


def _check_pixels(header: _Header, blocks: Iterable[bytes]) -> None:
    """As many rows as the header says, each with a known filter. Raises NotAPicture."""
    passes = header.passes()
    row, left = 1, 0
    for block in blocks:
        at = 0
        while at < len(block):
            if not left:
                row, rows = next(passes, (1, 0))
                left = row * rows
            if not left:
                raise NotAPicture("it has more pixels than it says")
            part = block[at : at + left]
            if part[left % row :: row].translate(None, FILTERS):
                raise NotAPicture("a row has an unknown filter")
            left -= len(part)
            at += len(part)
    if left or next(passes, None):
        raise NotAPicture("it has fewer pixels than it says")
