"""ThumbHash: a blurred picture in some 25 bytes, shown until the picture itself is there.

The format is Evan Wallace's (https://evanw.github.io/thumbhash/, 2023). A picture is split into luminance, yellow
against blue, red against green, and alpha if it has any. Of each channel's cosine transform (DCT-II) the lowest
frequencies are kept: the mean in 4 to 6 bits, every other coefficient in 4, relative to the channel's largest.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

from PIL import Image

SIDE = 32
"""Pixels of the longer side that is looked at: five for each half-wave of the highest frequency that is kept."""

WAVES, WAVES_WITH_ALPHA = 7, 5
"""Luminance along the longer side; alpha takes its bits from there."""
COLOR_WAVES, ALPHA_WAVES = 3, 5

FLAT = 1e-9


def thumb_hash(image: Image.Image) -> bytes:
    """Of an 8-bit RGB or RGBA picture of any size. Where it is transparent, the mean colour shines through."""
    shrinking = max(1.0, max(image.size) / SIDE)
    width, height = (max(1, round(side / shrinking)) for side in image.size)
    pixels = image.resize((width, height), Image.Resampling.BOX).convert("RGBA").tobytes()
    alpha = [value / 255 for value in pixels[3::4]]
    red, green, blue = (_on_mean(pixels[at::4], alpha) for at in range(3))
    has_alpha = min(pixels[3::4]) < 255
    most = WAVES_WITH_ALPHA if has_alpha else WAVES
    across, down = (max(1, _round(most * side / max(width, height))) for side in (width, height))

    light = [sum(colors) / 3 for colors in zip(red, green, blue, strict=True)]
    yellow = [(r + g) / 2 - b for r, g, b in zip(red, green, blue, strict=True)]
    reddish = [r - g for r, g in zip(red, green, strict=True)]
    luminance = _Channel.of(light, width, height, max(3, across), max(3, down))
    yellow_blue = _Channel.of(yellow, width, height, COLOR_WAVES, COLOR_WAVES)
    red_green = _Channel.of(reddish, width, height, COLOR_WAVES, COLOR_WAVES)
    opacity = [_Channel.of(alpha, width, height, ALPHA_WAVES, ALPHA_WAVES)] if has_alpha else []

    fields = [
        (6, 63 * luminance.mean),
        (6, 31.5 + 31.5 * yellow_blue.mean),
        (6, 31.5 + 31.5 * red_green.mean),
        (5, 31 * luminance.largest),
        (1, has_alpha),
        (3, down if width > height else across),
        (6, 63 * yellow_blue.largest),
        (6, 63 * red_green.largest),
        (1, width > height),
        *((4, 15 * part) for channel in opacity for part in (channel.mean, channel.largest)),
        *((4, 15 * wave) for channel in (luminance, yellow_blue, red_green, *opacity) for wave in channel.waves()),
    ]
    return _packed(fields)


@dataclass(frozen=True)
class _Channel:
    """The transform of one channel: its mean, and the other coefficients from the lowest frequency on."""

    mean: float
    others: Sequence[float]

    @classmethod
    def of(cls, values: Sequence[float], width: int, height: int, across: int, down: int) -> "_Channel":
        """Frequencies below `across` and `down`, without the corner beyond the diagonal between them."""
        rows = [values[at : at + width] for at in range(0, width * height, width)]
        columns = [[sum(map(mul, row, wave)) for row in rows] for wave in _cosines(across, width)]
        mean, *others = (
            sum(map(mul, columns[x], wave)) / (width * height)
            for y, wave in enumerate(_cosines(down, height))
            for x in range(across)
            if x * down < across * (down - y)
        )
        return cls(mean, others)

    @property
    def largest(self) -> float:
        return max(map(abs, self.others))

    def waves(self) -> list[float]:
        """From 0 to 1, where ½ is nothing; 0 in a flat channel, whose coefficients are rounding errors."""
        largest = self.largest
        return [0.5 + 0.5 * other / largest if largest > FLAT else 0.0 for other in self.others]


def _cosines(frequencies: int, length: int) -> list[list[float]]:
    return [[math.cos(math.pi / length * f * (at + 0.5)) for at in range(length)] for f in range(frequencies)]


def _on_mean(samples: bytes, alpha: Sequence[float]) -> list[float]:
    """From 0 to 1, laid over the mean of what can be seen of them."""
    seen = sum(alpha)
    mean = sum(map(mul, samples, alpha)) / 255 / seen if seen else 0.0
    return [mean * (1 - a) + sample / 255 * a for sample, a in zip(samples, alpha, strict=True)]


def _packed(fields: Sequence[tuple[int, float]]) -> bytes:
    """Fields of so many bits, the first in the lowest."""
    packed = length = 0
    for bits, value in fields:
        packed |= _round(value) << length
        length += bits
    return packed.to_bytes((length + 7) // 8, "little")


def _round(value: float) -> int:
    """Halves go up, as in the reference."""
    return math.floor(value + 0.5)
