"""Variants: what becomes of a PNG in another format, or smaller."""

import io
import statistics
import zlib
from collections.abc import Sequence

import pytest
from PIL import Image, ImageCms

from services.executor.sketch.painting.picture import paint
from services.executor.sketch.painting.scene import imagine
from services.results.domain import MAX_PIXELS
from services.results.png import clean_png
from services.results.variants import Format, Shape, Unreadable, choose, decode, encode
from tests.results.pictures import a_png, chunk, header, png_of

PROMPTS = [
    "a lake in the mountains at sunset",
    "a forest in the rain at night with a fox",
    "a city by the sea at dawn in the snow",
    "一只猫坐在秋天的花园里",
]


def as_png(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return bytes(clean_png(memoryview(file.getvalue())).data)


def make(data: bytes, shape: Shape) -> bytes:
    return encode(decode(data, (shape.width, shape.height)), shape.format)


def made(data: bytes, shape: Shape) -> Image.Image:
    """As another reader sees the variant."""
    image = Image.open(io.BytesIO(make(data, shape)), formats=[shape.format.name])
    image.load()
    return image


def sketches(side: int) -> Sequence[bytes]:
    scenes = [imagine(prompt, "", seed=7, index=0, guidance=7, model="sdxl") for prompt in PROMPTS]
    return [as_png(Image.fromarray(paint(scene, side, side)), compress_level=1) for scene in scenes]


@pytest.mark.parametrize("format_", Format)
@pytest.mark.parametrize("size", [(1024, 1024), (1920, 1080), (333, 1000)])
def test_a_variant_has_the_width_that_was_asked_for_and_the_pictures_proportions(format_, size):
    shape = choose(*size, 320, [format_])
    image = made(a_png(*size), shape)
    assert image.size == (shape.width, shape.height)
    assert image.width == 320
    assert abs(image.height - 320 * size[1] / size[0]) <= 0.5


@pytest.mark.parametrize("wanted", [None, 320, 640, 1920])
def test_nothing_is_enlarged(wanted):
    assert choose(320, 200, wanted, [Format.WEBP]) == Shape(320, 200, Format.WEBP)
    assert choose(320, 200, wanted, [Format.PNG, Format.WEBP]) is None, "the stored picture serves"


def test_a_line_keeps_at_least_one_pixel():
    assert made(a_png(5000, 1), choose(5000, 1, 160, [Format.WEBP])).size == (160, 1)


@pytest.mark.parametrize("size", [(8000, 8000), (1, MAX_PIXELS), (160, 100_000)])
def test_what_is_too_large_to_be_encoded_is_sent_as_it_is_stored(size):
    assert choose(*size, None, [Format.AVIF, Format.WEBP, Format.JPEG]) is None


def test_a_long_picture_is_sent_in_the_first_format_that_can_hold_it():
    assert choose(20_000, 10, None, [Format.WEBP, Format.AVIF]) == Shape(20_000, 10, Format.AVIF)
    assert choose(40_000, 10, None, [Format.WEBP, Format.AVIF, Format.JPEG]) == Shape(40_000, 10, Format.JPEG)
    assert choose(20_000, 10, None, [Format.WEBP, Format.PNG, Format.AVIF]) is None


@pytest.mark.parametrize(("format_", "side"), [(Format.WEBP, 16_383), (Format.AVIF, 32_768), (Format.JPEG, 65_500)])
def test_every_format_holds_the_longest_side_that_is_tried(format_, side):
    assert made(a_png(side, 2), choose(side, 2, None, [format_])).size == (side, 2)


def test_the_largest_picture_can_be_made_smaller():
    assert choose(8000, 8000, 1920, [Format.AVIF]) == Shape(1920, 1920, Format.AVIF)


@pytest.mark.parametrize("format_", Format)
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_keeps_its_colours(format_, mode):
    orange = Image.new("RGBA", (64, 48), (255, 140, 0, 255))
    if mode == "I;16":
        original = Image.frombytes(mode, (64, 48), (40_000).to_bytes(2, "little") * (64 * 48))
        expected = (156, 156, 156)
    else:
        original = orange.convert(mode)
        expected = original.convert("RGB").getpixel((20, 20))
    image = made(as_png(original), Shape(32, 24, format_)).convert("RGB")
    assert all(abs(a - b) <= 8 for a, b in zip(image.getpixel((10, 10)), expected, strict=True)) or mode == "1"


@pytest.mark.parametrize("mode", ["LA", "P", "RGBA"])
def test_what_is_transparent_stays_so_and_is_white_in_a_jpeg(mode):
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (32, 0, 64, 64))
    png = as_png(image.convert(mode))
    for format_ in (Format.AVIF, Format.WEBP, Format.PNG):
        small = made(png, Shape(32, 32, format_))
        assert small.getpixel((4, 16))[3] < 8
        assert small.getpixel((28, 16))[3] > 247
    jpeg = made(png, Shape(32, 32, Format.JPEG))
    assert min(jpeg.getpixel((4, 16))) > 247
    assert max(jpeg.getpixel((28, 16))) < 8


@pytest.mark.parametrize("format_", Format)
def test_a_variant_carries_no_metadata(format_):
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "the prompt"
    image = Image.new("RGB", (64, 64))
    image.info = {"comment": b"the prompt", "xmp": b"<x:xmpmeta>the prompt</x:xmpmeta>"}
    image.save(file, "PNG", exif=exif, dpi=(300, 300))
    data = make(file.getvalue(), Shape(32, 32, format_))
    assert b"the prompt" not in data
    with Image.open(io.BytesIO(data)) as opened:
        assert not opened.getexif()
        assert not opened.info.keys() & {"exif", "xmp", "comment", "dpi", "icc_profile"}


def a_profile(space: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


@pytest.mark.parametrize("format_", Format)
def test_a_colour_profile_is_kept_unless_it_says_what_is_assumed_anyway(format_):
    image = Image.new("RGB", (64, 64))
    wide = a_profile("sRGB").replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be"))
    for profile, kept in ((wide, wide), (a_profile("sRGB"), None), (a_profile("LAB"), None), (b"nonsense", None)):
        assert made(as_png(image, icc_profile=profile), Shape(32, 32, format_)).info.get("icc_profile") == kept


def test_a_png_that_pillow_cannot_open_is_said_to_be_unreadable():
    profile = b"p\0\0" + zlib.compress(bytes(2_000_000))
    pixels = chunk(b"IDAT", zlib.compress(b"\0ab" * 2))
    data = clean_png(memoryview(png_of(header(2, 2), chunk(b"iCCP", profile), pixels))).data
    with pytest.raises(Unreadable):
        make(data, Shape(1, 1, Format.WEBP))


def test_fifty_thumbnails_weigh_less_than_750_kb():
    weights = [len(make(png, Shape(320, 320, Format.WEBP))) for png in sketches(640)]
    assert 50 * statistics.mean(weights) < 750_000


def test_a_browser_gets_a_fraction_of_the_png():
    [png, *_] = sketches(512)
    avif, webp = (len(make(png, Shape(512, 512, format_))) for format_ in (Format.AVIF, Format.WEBP))
    assert avif < webp < len(png) / 10
