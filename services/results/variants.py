"""Variants: a picture in another format or smaller, made from the stored PNG.

What it takes, measured: at most 9 bytes of memory for each pixel that is decoded and reduced, and up to 24 for each
that is encoded (AVIF; WebP 6, JPEG 3). `studio` bounds how much of that happens at once.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from PIL import Image, ImageCms

MAX_PIXELS = 8 * 1024 * 1024
"""Of a variant: 0.6 s of AVIF, 200 MB. What would be larger is sent as it is stored."""


class Format(Enum):
    """Its value is the media type."""

    AVIF = "image/avif"
    WEBP = "image/webp"
    JPEG = "image/jpeg"
    PNG = "image/png"

    @property
    def extension(self) -> str:
        return "jpg" if self is Format.JPEG else self.name.lower()


_OPTIONS: Mapping[Format, Mapping[str, Any]] = {
    Format.AVIF: {"quality": 60, "speed": 8, "max_threads": 1},
    Format.WEBP: {"quality": 80, "method": 2},
    Format.JPEG: {"quality": 85},
    Format.PNG: {"compress_level": 4},
}
"""Measured on sketch's pictures, at 320 and at 1024 pixels: WebP 8 KiB in 3 ms and 64 KiB in 30 ms, AVIF 7 KiB in
13 ms and 53 KiB in 78 ms, both as true (PSNR 39 dB); JPEG 15 KiB and 144 KiB; PNG 122 KiB. AVIF at speed 6 would take
four times as long for 7 % less, WebP by method 4 twice as long for 5 %. A progressive JPEG would be a tenth smaller,
but Pillow fails on one that does not compress to a byte a pixel.
"""


_SIDES: Mapping[Format, int] = {Format.AVIF: 32_768, Format.WEBP: 16_383, Format.JPEG: 65_500}
"""The longest of each: WebP has 14 bits for it, the others what libavif's and libjpeg's readers take."""


class Unreadable(Exception):
    """Pillow cannot open what the PNG specification allows: a colour profile above a megabyte, for one."""


@dataclass(frozen=True)
class Shape:
    """What a variant looks like: pixels and format."""

    width: int
    height: int
    format: Format


def choose(width: int, height: int, wanted: int | None, formats: Sequence[Format]) -> Shape | None:
    """How a stored PNG of this size is sent to who wants it so wide and can show these formats, best first; None: as it
    is stored. Nothing is enlarged.
    """
    if wanted is not None and wanted < width:
        width, height = wanted, max(1, round(height * wanted / width))
    else:
        wanted = None
    for format_ in formats:
        if format_ is Format.PNG and wanted is None:
            break
        if width * height <= MAX_PIXELS and max(width, height) <= _SIDES.get(format_, MAX_PIXELS):
            return Shape(width, height, format_)
    return None


def decode(data: bytes, size: tuple[int, int] | None = None) -> Image.Image:
    """A PNG as 8-bit RGB or RGBA, reduced to `size`, with nothing of its metadata but a colour profile that is not
    sRGB's.

    Raises Unreadable.
    """
    try:
        image = _in_8_bits(Image.open(io.BytesIO(data), formats=["PNG"]))
    except (OSError, SyntaxError, ValueError) as error:
        raise Unreadable(str(error)) from error
    profile = image.info.get("icc_profile")
    if size and size != image.size:
        # Halving by boxes as long as twice the size is left looks the same and is faster for what is much larger.
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    image.info = {"icc_profile": profile} if profile and _is_another_rgb(profile) else {}
    return image


def encode(image: Image.Image, format_: Format) -> bytes:
    """What `decode` gave; transparent pixels are white in a JPEG."""
    if format_ is Format.JPEG and image.mode == "RGBA":
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        white.info = image.info
        image = white
    file = io.BytesIO()
    image.save(file, format_.name, icc_profile=image.info.get("icc_profile"), **_OPTIONS[format_])
    return file.getvalue()


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Loaded; the same picture or another one, so that there are never two for longer than needed."""
    if image.mode.startswith("I;16"):
        # Pillow's own conversion takes everything above 255 for white.
        image = Image.frombytes("L", image.size, image.tobytes("raw", "I;16B")[::2])
    mode = "RGBA" if image.has_transparency_data else "RGB"
    image.load()
    return image if image.mode == mode else image.convert(mode)


def _is_another_rgb(profile: bytes) -> bool:
    """A colour profile without which the picture would look wrong. One of grays is of no use to RGB."""
    try:
        parsed = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return parsed.profile.xcolor_space == "RGB " and "sRGB" not in ImageCms.getProfileDescription(parsed)
    except (OSError, ImageCms.PyCMSError):
        return False
