"""ThumbHash, beside what the reference makes of the same pixels (js/thumbhash.js in github.com/evanw/thumbhash at
a652ce6).
"""

from collections.abc import Callable

import pytest
from PIL import Image

from services.results.thumbhash import thumb_hash

Painter = Callable[[int, int], tuple[int, int, int, int]]


def painted(width: int, height: int, painter: Painter) -> Image.Image:
    """`painter` is told column and row."""
    pixels = (painter(x, y) for y in range(height) for x in range(width))
    return Image.frombytes("RGBA", (width, height), b"".join(map(bytes, pixels)))


def waves(width: int, height: int) -> Image.Image:
    return painted(width, height, lambda x, y: (x * 255 // (width - 1), y * 255 // (height - 1), x * y * 7 % 256, 255))


FADE = painted(32, 24, lambda x, y: (200, x * 255 // 31, 40, y * 255 // 23))
HOLES = painted(20, 32, lambda x, y: (x * 8 % 256, 90, y * 8 % 256, 0 if (x // 4 + y // 4) % 2 else 255))
NOTHING = painted(32, 32, lambda x, y: (9, 9, 9, 0))

BY_THE_REFERENCE = [
    (waves(32, 32), "1f080a2f1a70767770777777786877788777070998808f07"),
    (waves(32, 18), "5ff80d2c9c707677707777768776a0910bf888"),
    (waves(18, 32), "5f080e2c1c600677777776787777b1900af778"),
    (waves(32, 5), "1df91121a072767770886888c2941ff878"),
    (waves(7, 3), "57fb0d33a481878780888888816018f878"),
    (FADE, "de9b861c8e378087b887777808887b7f488787088888888708"),
    (HOLES, "d8e6853308087370787877857f08878778788e7f77f877"),
    (NOTHING, "00088205000000000000000000000000000000000000000000"),
]


@pytest.mark.parametrize(("picture", "expected"), BY_THE_REFERENCE)
def test_it_is_the_hash_of_the_reference(picture, expected):
    hashed = thumb_hash(picture).hex()
    assert (len(hashed), hashed[:10]) == (len(expected), expected[:10])
    # A coefficient in the middle between two numbers may become either: sums of floats differ in their last bit.
    assert all(abs(int(a, 16) - int(b, 16)) <= 1 for a, b in zip(hashed, expected, strict=True))


@pytest.mark.parametrize("size", [(32, 32), (1920, 1080)])
def test_of_a_picture_of_one_colour_only_that_is_kept(size):
    hashed = thumb_hash(Image.new("RGB", size, (30, 120, 210)))
    assert hashed[:2].hex() == "de43"
    assert not any(hashed[5:])


def test_a_large_picture_has_the_hash_of_the_same_picture_in_small():
    assert thumb_hash(waves(32, 18).resize((1920, 1080), Image.Resampling.BOX)) == thumb_hash(waves(32, 18))


def test_it_never_takes_more_than_25_bytes():
    assert max(len(thumb_hash(picture)) for picture, _ in BY_THE_REFERENCE) == 25
