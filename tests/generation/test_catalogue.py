import pytest

from services.generation.catalogue import Availability, ModelUnavailable, ParameterOutOfRange
from tests.generation.builders import a_model, a_request


def wrong_fields(**asked: object) -> list[str]:
    with pytest.raises(ParameterOutOfRange) as caught:
        a_model().spec_for(a_request(**asked), 0)
    return [field for field, _ in caught.value.violations]


def test_what_a_request_leaves_out_comes_from_the_model():
    spec = a_model().spec_for(a_request(), 42)

    assert (spec.width, spec.height, spec.steps, spec.cfg) == (512, 768, 20, 8.0)
    assert (spec.negative_prompt, spec.seed, spec.count) == ("blurry", 42, 1)


def test_what_a_request_says_stands_even_if_it_is_zero_or_empty():
    spec = a_model().spec_for(a_request(negative_prompt="", seed=0, width=64, count=2), 42)

    assert (spec.negative_prompt, spec.seed, spec.width, spec.count) == ("", 0, 64, 2)


@pytest.mark.parametrize(
    "asked",
    [
        {"width": 56},
        {"width": 2056},
        {"width": 513},
        {"height": 56},
        {"height": 2056},
        {"height": 770},
        {"steps": 101},
        {"cfg": 0.9},
        {"cfg": 30.1},
        {"count": 3},
    ],
)
def test_a_value_outside_the_limits_is_named(asked):
    assert wrong_fields(**asked) == list(asked)


def test_every_value_outside_the_limits_is_named():
    assert sorted(wrong_fields(width=1, height=9, steps=1000, cfg=99, count=4)) == sorted(
        ["width", "height", "steps", "cfg", "count"]
    )


def test_a_picture_of_too_many_pixels_names_both_sides():
    assert wrong_fields(width=2048, height=1024) == ["width", "height"]
    assert a_model().spec_for(a_request(width=1024, height=1024), 0).width == 1024


def test_a_model_without_guidance_ignores_cfg():
    limits = a_model().limits
    model = a_model(limits=type(limits)(**vars(limits) | {"cfg": None}))

    assert model.spec_for(a_request(cfg=99.0), 0).cfg == model.defaults.cfg


def test_a_cold_model_can_be_asked_for():
    assert a_model(availability=Availability.COLD).spec_for(a_request(), 0)


def test_a_model_that_is_switched_off_or_unavailable_says_why():
    with pytest.raises(ModelUnavailable, match="switched off"):
        a_model(is_active=False).spec_for(a_request(), 0)
    with pytest.raises(ModelUnavailable, match="no files"):
        a_model(availability=Availability.UNAVAILABLE, unavailable_reason="no files").spec_for(a_request(), 0)
