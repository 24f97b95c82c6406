import io
import tracemalloc
import zipfile
import zlib

import pytest
from PIL import Image

from services.results.domain import NotAPicture, PictureTooLarge
from services.results.png import MAX_CHUNKS, Picture, clean_png
from tests.results.pictures import SIGNATURE, a_jpeg, a_png, chunk, gray_png, header, kinds, pixels, png_of

TWO_GRAY_ROWS = b"\0ab\0cd"


def clean(data: bytes) -> Picture:
    return clean_png(memoryview(data))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_passes_with_the_same_pixels(mode):
    file = io.BytesIO()
    Image.linear_gradient("L").resize((37, 23)).convert(mode).save(file, "PNG")

    picture = clean(file.getvalue())

    assert (picture.width, picture.height) == (37, 23)
    assert pixels(picture.data) == pixels(file.getvalue())


def test_pixels_are_not_encoded_anew():
    png = a_png()

    assert clean(png).data == png


def test_comfyui_graph_and_every_other_word_goes():
    secret = "a prompt that is nobody's business"
    png = a_png(text=secret)
    exif = chunk(b"eXIf", b"II*\0") + chunk(b"tIME", bytes(7)) + chunk(b"prVt", secret.encode())
    png = png.replace(chunk(b"IEND"), exif + chunk(b"IEND"))
    assert secret.encode() in png

    picture = clean(png)

    assert secret.encode() not in picture.data
    assert set(kinds(picture.data)) == {b"IHDR", b"IDAT", b"IEND"}
    assert pixels(picture.data) == pixels(png)


def test_what_colours_mean_stays():
    png = a_png().replace(chunk(b"IEND"), b"")
    at = png.index(b"IDAT") - 4
    meaning = chunk(b"gAMA", (45455).to_bytes(4)) + chunk(b"pHYs", bytes(9))
    png = png[:at] + meaning + png[at:] + chunk(b"IEND")

    assert kinds(clean(png).data) == [b"IHDR", b"gAMA", b"pHYs", b"IDAT", b"IEND"]


def test_an_interlaced_picture_passes():
    png = gray_png(_adam7(5, 5), width=5, height=5, interlace=1)

    assert clean(png).width == 5
    assert pixels(png) == bytes(25)


def test_a_picture_with_any_one_byte_changed_is_refused():
    png = a_png(4, 3, text="hidden")
    for at in range(len(png)):
        changed = png[:at] + bytes([png[at] ^ 0x41]) + png[at + 1 :]
        with pytest.raises((NotAPicture, PictureTooLarge)):
            clean(changed)


def test_a_picture_that_is_cut_anywhere_is_refused():
    png = a_png(4, 3)
    for end in range(len(png)):
        with pytest.raises(NotAPicture):
            clean(png[:end])


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", "b")
    return file.getvalue()


NOT_PICTURES = {
    "nothing": b"",
    "a signature alone": SIGNATURE,
    "a JPEG": a_jpeg(),
    "a ZIP behind it": a_png() + _zip(),
    "a second PNG behind it": a_png() + a_png(),
    "no header": png_of(chunk(b"IDAT", zlib.compress(TWO_GRAY_ROWS))),
    "a short header": png_of(chunk(b"IHDR", bytes(12)), chunk(b"IDAT", zlib.compress(TWO_GRAY_ROWS))),
    "two headers": png_of(header(2, 2), header(2, 2), chunk(b"IDAT", zlib.compress(TWO_GRAY_ROWS))),
    "no pixels at all": png_of(header(2, 2)),
    "no width": png_of(header(0, 2), chunk(b"IDAT", zlib.compress(b"\0\0"))),
    "an impossible depth": png_of(header(2, 2, depth=3), chunk(b"IDAT", zlib.compress(TWO_GRAY_ROWS))),
    "an impossible colour type": png_of(header(2, 2, color=5), chunk(b"IDAT", zlib.compress(TWO_GRAY_ROWS))),
    "an unknown interlace": gray_png(TWO_GRAY_ROWS, interlace=2),
    "an unknown critical chunk": png_of(header(2, 2), chunk(b"NEWW"), chunk(b"IDAT", zlib.compress(TWO_GRAY_ROWS))),
    "no palette": png_of(header(2, 2, color=3), chunk(b"IDAT", zlib.compress(TWO_GRAY_ROWS))),
    "a late palette": png_of(
        header(2, 2, color=3), chunk(b"IDAT", zlib.compress(b"\0\0\0\0\0\0")), chunk(b"PLTE", bytes(3))
    ),
    "pixels in two places": png_of(
        header(2, 2),
        chunk(b"IDAT", zlib.compress(TWO_GRAY_ROWS)[:5]),
        chunk(b"tEXt"),
        chunk(b"IDAT", zlib.compress(TWO_GRAY_ROWS)[5:]),
    ),
    "a missing row": gray_png(b"\0ab"),
    "half a row": gray_png(TWO_GRAY_ROWS[:-1]),
    "a row too many": gray_png(TWO_GRAY_ROWS + b"\0ef"),
    "an unknown filter": gray_png(b"\0ab\5cd"),
    "pixels that do not inflate": png_of(header(2, 2), chunk(b"IDAT", b"no zlib stream")),
    "pixels without their checksum": png_of(header(2, 2), chunk(b"IDAT", zlib.compress(TWO_GRAY_ROWS)[:-4])),
    "pixels with a wrong checksum": png_of(header(2, 2), chunk(b"IDAT", zlib.compress(TWO_GRAY_ROWS)[:-4] + bytes(4))),
    "a secret behind the pixels": gray_png(TWO_GRAY_ROWS, tail=b"secret"),
    "a secret in a chunk behind the pixels": png_of(
        header(2, 2), chunk(b"IDAT", zlib.compress(TWO_GRAY_ROWS)), chunk(b"IDAT", b"secret")
    ),
    "too many chunks": png_of(header(2, 2), chunk(b"tEXt") * MAX_CHUNKS),
}


@pytest.mark.parametrize("data", NOT_PICTURES.values(), ids=NOT_PICTURES.keys())
def test_what_is_no_whole_png_is_refused(data):
    with pytest.raises(NotAPicture):
        clean(data)


def test_the_smallest_pictures_pass():
    assert clean(gray_png(TWO_GRAY_ROWS)).height == 2
    assert clean(gray_png(b"\0a", width=1, height=1)).width == 1


def test_a_picture_bomb_is_refused_before_its_pixels_are_looked_at():
    with pytest.raises(PictureTooLarge):
        clean(png_of(header(100_000, 100_000), chunk(b"IDAT", b"never read")))


def test_64_megapixels_pass_and_one_more_row_does_not():
    compressor = zlib.compressobj(1)
    stream = b"".join(compressor.compress(bytes(8001)) for _ in range(8000)) + compressor.flush()

    assert clean(png_of(header(8000, 8000), chunk(b"IDAT", stream))).width == 8000
    with pytest.raises(PictureTooLarge):
        clean(png_of(header(8000, 8001), chunk(b"IDAT", stream)))


def test_pixels_that_inflate_to_a_hundred_times_more_than_they_should_cost_no_memory():
    compressor = zlib.compressobj(9)
    stream = b"".join(compressor.compress(bytes(1_000_000)) for _ in range(100)) + compressor.flush()
    bomb = png_of(header(1000, 1000), chunk(b"IDAT", stream))

    tracemalloc.start()
    with pytest.raises(NotAPicture):
        clean(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 10_000_000


def _adam7(width: int, height: int) -> bytes:
    """Black rows of all passes."""
    steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for left, top, right, down in steps:
        columns = len(range(left, width, right))
        rows += (b"\0" + bytes(columns)) * (len(range(top, height, down)) if columns else 0)
    return rows
