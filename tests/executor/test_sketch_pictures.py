"""What a prompt and a seed promise about the picture."""

import io

import numpy as np
import pytest
from PIL import Image

from services.executor.sketch.painting.picture import paint, shown, unfinished
from services.executor.sketch.painting.scene import Scene, imagine

EVERYTHING = (
    "snowfall storm fog rain aurora stars moon rainbow clouds birds boat house lighthouse balloon cat flowers "
    "mountains hills sea lake forest city meadow"
)


def a_scene(prompt: str = "a lake in the mountains at sunset", **changes) -> Scene:
    arguments = {"negative": "", "seed": 1, "index": 0, "guidance": 7.0, "model": "sd15"} | changes
    return imagine(prompt, **arguments)


def difference(a: Scene, b: Scene) -> float:
    """Mean difference of two pictures in grey levels of 255."""
    return float(np.abs(paint(a, 96, 96).astype(int) - paint(b, 96, 96).astype(int)).mean())


def test_the_same_inputs_paint_the_same_bytes():
    assert paint(a_scene(), 128, 96).tobytes() == paint(a_scene(), 128, 96).tobytes()


@pytest.mark.parametrize("change", [{"seed": 2}, {"index": 1}, {"prompt": "a desert at night"}])
def test_another_seed_number_in_the_batch_or_prompt_is_clearly_another_picture(change):
    assert difference(a_scene(), a_scene(**change)) > 8


def test_a_word_outside_the_vocabulary_still_changes_the_picture():
    assert difference(a_scene("a portrait of an astronaut"), a_scene("a portrait of a carpenter")) > 8


@pytest.mark.parametrize("change", [{"guidance": 15.0}, {"negative": "blurry"}, {"model": "sdxl"}])
def test_guidance_negative_words_and_model_change_it_a_little(change):
    assert 0.2 < difference(a_scene(), a_scene(**change)) < 20


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("snowy mountains at night", "雪山 夜"),
        ("desert at sunset", "沙漠 日落"),
        ("a boat on the sea", "海上的船"),
        ("autumn forest in the fog", "秋天的森林,雾"),
        ("city in the rain", "城市 雨"),
        ("flowers in a spring meadow", "春天草原上的花"),
    ],
)
def test_english_and_chinese_words_ask_for_the_same_things(english, chinese):
    ours, theirs = a_scene(english), a_scene(chinese)
    assert (ours.lands, ours.details) == (theirs.lands, theirs.details)


def test_a_negative_word_removes_what_it_names():
    assert "birds" in a_scene("a lake with birds").details
    assert "birds" not in a_scene("a lake with birds", negative="bird").details


@pytest.mark.parametrize(("width", "height"), [(64, 64), (64, 2048), (2048, 64), (65, 67), (512, 384)])
def test_every_size_can_be_painted_whatever_is_in_the_scene(width, height):
    assert paint(a_scene(EVERYTHING), width, height).shape == (height, width, 3)


@pytest.mark.parametrize("land", ["mountain", "hills", "sea", "lake", "forest", "desert", "city", "meadow"])
@pytest.mark.parametrize("hour", ["dawn", "noon", "golden", "sunset", "night"])
def test_no_landscape_is_flat_black_or_white(land, hour):
    picture = paint(a_scene(f"{land} {hour}"), 64, 64)
    assert 20 < picture.mean() < 235
    assert picture.std() > 10


def test_previews_sharpen_step_by_step_into_the_picture():
    picture = paint(a_scene(), 256, 128)
    noise = np.random.default_rng(1)
    finished = np.asarray(Image.fromarray(picture).resize((512, 256), Image.Resampling.BILINEAR), int)
    errors = []
    for step in range(1, 9):
        preview = Image.open(io.BytesIO(unfinished(shown(picture), step / 8, noise)))
        assert (preview.format, preview.size) == ("JPEG", (512, 256))
        errors.append(np.abs(np.asarray(preview, int) - finished).mean())
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 10 * errors[-1]
