"""ThumbHash (https://evanw.github.io/thumbhash/, 2023), drawn: what is shown until a picture is there."""

import base64
import binascii
import math
import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache

SIDE = 16
"""Pixels of the drawn square, to be stretched: no wave of a hash is shorter than two of them."""

BOOST = 1.25
"""Of saturation, as the reference has it: quantization takes some away."""


@lru_cache(maxsize=4096)
def blur(hashed: str) -> bytes | None:
    """A PNG of a hash in base64; None if it is not one."""
    try:
        return png(colors(base64.b64decode(hashed, validate=True)))
    except (binascii.Error, IndexError, struct.error):
        return None


def colors(hashed: bytes) -> list[bytes]:
    """Rows of RGB, `SIDE` by `SIDE`; of a transparent picture the mean colour shines through.

    Raises:
        IndexError: it is too short.
    """
    head = hashed[0] | hashed[1] << 8 | hashed[2] << 16
    more = hashed[3] | hashed[4] << 8
    light = (head & 63) / 63
    yellow_blue = (head >> 6 & 63) / 31.5 - 1
    red_green = (head >> 12 & 63) / 31.5 - 1
    has_alpha, is_landscape = bool(head >> 23), bool(more >> 15)
    longest, other = 5 if has_alpha else 7, more & 7
    across, down = (longest, other) if is_landscape else (other, longest)
    nibbles = _Nibbles(hashed, 6 if has_alpha else 5)
    channels = [
        _waves(light, nibbles, max(3, across), max(3, down), (head >> 18 & 31) / 31),
        _waves(yellow_blue, nibbles, 3, 3, (more >> 3 & 63) / 63 * BOOST),
        _waves(red_green, nibbles, 3, 3, (more >> 9 & 63) / 63 * BOOST),
    ]
    lights, blues, reds = (_drawn(waves) for waves in channels)
    return [
        b"".join(_rgb(*pixel) for pixel in zip(*rows, strict=True)) for rows in zip(lights, blues, reds, strict=True)
    ]


class _Nibbles:
    """Four bits at a time, the lower first."""

    def __init__(self, content: bytes, first_byte: int) -> None:
        self._content, self._at = content, 2 * first_byte

    def take(self) -> int:
        byte = self._content[self._at >> 1]
        value = byte >> 4 if self._at & 1 else byte & 15
        self._at += 1
        return value


def _waves(mean: float, nibbles: _Nibbles, across: int, down: int, largest: float) -> Sequence[Sequence[float]]:
    """Coefficients by row and column, twice as large as they are kept; those beyond the diagonal are not."""

    def wave(x: int, y: int) -> float:
        if x * down >= across * (down - y):
            return 0.0
        return mean if x == y == 0 else 2 * (nibbles.take() / 7.5 - 1) * largest

    return [[wave(x, y) for x in range(across)] for y in range(down)]


def _drawn(waves: Sequence[Sequence[float]]) -> list[list[float]]:
    rows = [[sum(map(_product, zip(row, wave, strict=True))) for wave in _cosines(len(row))] for row in waves]
    columns = list(zip(*rows, strict=True))
    return [[sum(map(_product, zip(column, wave, strict=True))) for column in columns] for wave in _cosines(len(waves))]


def _product(pair: tuple[float, float]) -> float:
    return pair[0] * pair[1]


@lru_cache
def _cosines(frequencies: int) -> list[list[float]]:
    """By pixel."""
    return [[math.cos(math.pi / SIDE * (at + 0.5) * f) for f in range(frequencies)] for at in range(SIDE)]


def _rgb(light: float, yellow_blue: float, red_green: float) -> bytes:
    blue = light - 2 / 3 * yellow_blue
    red = (3 * light - blue + red_green) / 2
    return bytes(round(255 * min(1.0, max(0.0, value))) for value in (red, red - red_green, blue))


def png(rows: Sequence[bytes]) -> bytes:
    """Of rows of RGB (RFC 2083)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
