"""What is shown until a picture is there, drawn from the hashes that the server makes."""

import base64
import io

import pytest
from PIL import Image

from services.results.thumbhash import thumb_hash
from state.blurs import SIDE, blur


def drawn(picture: Image.Image) -> Image.Image:
    content = blur(base64.b64encode(thumb_hash(picture)).decode())
    assert content is not None
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("color", [(30, 120, 210), (200, 60, 40), (240, 240, 235), (0, 0, 0)])
def test_a_picture_of_one_colour_is_drawn_in_it(color):
    shown = drawn(Image.new("RGB", (640, 480), color))
    assert shown.size == (SIDE, SIDE)
    for pixel in shown.get_flattened_data():
        assert all(abs(one - other) <= 12 for one, other in zip(pixel, color, strict=True))


@pytest.mark.parametrize("size", [(64, 64), (64, 36), (36, 64), (64, 10)])
def test_light_and_colours_are_where_they_are_in_the_picture(size):
    width, height = size
    picture = Image.new("RGB", size, (20, 20, 90))
    picture.paste((250, 220, 60), (0, 0, width // 2, height))
    picture.paste((250, 20, 20), (0, height // 2, width // 2, height))
    shown = drawn(picture)
    left, right = shown.getpixel((3, 3)), shown.getpixel((SIDE - 4, 3))
    below = shown.getpixel((3, SIDE - 4))
    assert left[0] > right[0] + 100
    assert left[1] > below[1] + 60
    assert right[2] > right[0]


def test_a_transparent_picture_is_drawn_in_what_can_be_seen_of_it():
    picture = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    picture.paste((200, 40, 40, 255), (0, 0, 16, 32))
    assert drawn(picture).getpixel((2, 8))[0] > 150


@pytest.mark.parametrize("hashed", ["", "AAAA", "not base64!", "3OcRJYB4d3h/iIeHeEh3eIhw+j"])
def test_what_is_no_hash_is_not_drawn(hashed):
    assert blur(hashed) is None
