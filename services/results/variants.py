"""Variants: a picture in another format or smaller, made from the stored PNG.

Memory is bounded by what is decoded and encoded at once. A picture takes at most 9 bytes a pixel while it is decoded
and reduced. Encoding takes up to 24 more of each pixel that is left (AVIF; WebP 6, JPEG 3, measured), and nothing above
MAX_PIXELS is encoded at all. Small pictures are made by SMALL_AT_ONCE threads, large ones by one more, so that nobody's
thumbnail waits for them: 40 MB a thread for pictures of a megapixel, 1.1 GB together if all is as large as it may be.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from PIL import Image, ImageCms

WIDTHS = (160, 320, 640, 960, 1280, 1920)
"""Pixels. Any other would let people fill the store with copies."""

MAX_PIXELS = 8 * 1024 * 1024
"""Of a variant: 0.6 s of AVIF, 200 MB. What would be larger is sent as it is stored."""
MAX_SIDE = 16_383
"""WebP's; JPEG and AVIF have 65,535."""
MAX_PIXELS_OF_SMALL = 8 * 1024 * 1024


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
    Format.JPEG: {"quality": 85, "optimize": True, "progressive": True},
    Format.PNG: {"compress_level": 4},
}
"""Measured on sketch's pictures, at 320 and at 1024 pixels: WebP 8 KiB in 3 ms and 64 KiB in 30 ms, AVIF 7 KiB in
13 ms and 53 KiB in 78 ms, both as true (PSNR 39 dB); JPEG 14 KiB and 132 KiB; PNG 122 KiB. AVIF at speed 6 would take
four times as long for 7 % less, WebP by method 4 twice as long for 5 %.
"""


class Unreadable(Exception):
    """Pillow cannot open what the PNG specification allows: a colour profile above a megabyte, for one."""


@dataclass(frozen=True)
class Shape:
    """What a variant is: pixels and format."""

    width: int
    height: int
    format: Format


def shape_of(width: int, height: int, wanted: int | None, format_: Format) -> Shape | None:
    """Of a stored PNG of this size, at most `wanted` pixels wide; None: as it is stored it serves better, being no
    larger, or more than is encoded. Nothing is ever enlarged.
    """
    if wanted is not None and wanted < width:
        shape = Shape(wanted, max(1, round(height * wanted / width)), format_)
    elif format_ is Format.PNG:
        return None
    else:
        shape = Shape(width, height, format_)
    if shape.width * shape.height > MAX_PIXELS or max(shape.width, shape.height) > MAX_SIDE:
        return None
    return shape


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


def make(data: bytes, shape: Shape) -> bytes:
    """The variant of a stored PNG. Raises Unreadable."""
    return encode(decode(data, (shape.width, shape.height)), shape.format)


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
