"""A QR code holds the link, black on white, with room around it."""

import io

import segno
from PIL import Image

from views.qr import PIXELS, QUIET, qr_png

LINK = "https://pictures.example.com/s/8IR0_Wa9NoRqhMY9ciBqHyqScUxcASn4JzyxGMEurWk"


def modules(png: bytes) -> list[list[int]]:
    """1 is dark; read from the middle of each module."""
    image = Image.open(io.BytesIO(png)).convert("L")
    count, rest = divmod(image.width, PIXELS)
    assert (rest, image.height) == (0, image.width)
    middle = PIXELS // 2
    levels = [[image.getpixel((x * PIXELS + middle, y * PIXELS + middle)) for x in range(count)] for y in range(count)]
    assert {level for row in levels for level in row} == {0, 255}
    return [[int(level == 0) for level in row] for row in levels]


def test_a_code_holds_the_link_with_room_around_it():
    drawn = modules(qr_png(LINK))
    core = [row[QUIET:-QUIET] for row in drawn[QUIET:-QUIET]]
    assert core == [list(row) for row in segno.make(LINK, error="m", micro=False).matrix]
    rim = [*drawn[:QUIET], *drawn[-QUIET:], *(row[:QUIET] + row[-QUIET:] for row in drawn)]
    assert not any(any(row) for row in rim)
