"""Sizes by shape stay within what a model allows."""

from hypothesis import given
from hypothesis import strategies as st

from api.resources import Defaults, FloatRange, IntRange, Limits, LocalizedText, Model
from state.shapes import RATIOS, SHAPES, size_of


def a_model(*, side: int = 512, multiple: int = 8, least: int = 64, most: int = 2048) -> Model:
    text = LocalizedText("model", "模型")
    limits = Limits(
        width=IntRange(least, most),
        height=IntRange(least, most),
        size_multiple=multiple,
        max_pixels=most * most,
        steps=IntRange(1, 50),
        cfg=FloatRange(1, 20),
        count=IntRange(1, 4),
    )
    return Model(
        name="model",
        display_names=text,
        descriptions=text,
        license="",
        is_active=True,
        available=True,
        availability="available",
        unavailable_reason=None,
        limits=limits,
        defaults=Defaults(side, side, 20, 7.0, ""),
        negative_prompt_supported=True,
    )


def test_a_square_is_the_models_own_size():
    assert size_of("square", a_model(side=1024)) == (1024, 1024)


@given(shape=st.sampled_from(SHAPES), side=st.sampled_from([512, 768, 1024]), multiple=st.sampled_from([8, 16, 64]))
def test_every_shape_keeps_to_the_limits_and_about_to_its_ratio(shape, side, multiple):
    width, height = size_of(shape, a_model(side=side, multiple=multiple))
    assert width % multiple == height % multiple == 0
    assert 64 <= width <= 2048
    assert 64 <= height <= 2048
    assert width * height <= side * side
    across, down = RATIOS[shape]
    assert abs(width / height - across / down) < 0.35 * across / down


def test_a_long_shape_ends_where_the_model_does():
    assert size_of("wide", a_model(side=512, most=512))[0] == 512
