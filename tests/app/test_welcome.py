"""The pictures of the first screen are what it says that they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.executor.sketch.painting.picture import paint
from services.executor.sketch.painting.scene import imagine
from texts import WORDS
from views.welcome import PICTURES

ASSETS = Path(__file__).parents[2] / "app/src/assets/welcome"
MODEL, GUIDANCE, SIDE = "v1-5-pruned-emaonly-fp16.safetensors", 8.0, 768
"""As Stable Diffusion 1.5 of the built-in engine paints by itself, but for the size."""

SEEDS = {"lighthouse": 3, "balloons": 3, "cabin": 2}
MOST_BYTES = 25_000


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_the_first_screen_was_painted_from_its_words(name):
    words = WORDS["en"].welcome_pictures[PICTURES.index(name)]
    scene = imagine(words, "", seed=SEEDS[name], index=0, guidance=GUIDANCE, model=MODEL)
    shown = Image.open(ASSETS / f"{name}.webp")
    painted = Image.fromarray(paint(scene, SIDE, SIDE)).resize(shown.size, Image.Resampling.LANCZOS)
    differences = np.abs(np.asarray(painted, np.int16) - np.asarray(shown.convert("RGB"), np.int16))
    assert differences.mean() < 8  # of 255: what compression costs


def test_the_pictures_of_the_first_screen_are_small():
    files = {path.name: path.stat().st_size for path in ASSETS.iterdir()}
    assert set(files) == {f"{name}.webp" for name in PICTURES}
    assert max(files.values()) <= MOST_BYTES
