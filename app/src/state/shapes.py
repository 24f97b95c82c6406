"""Sizes of pictures by their shape, within what a model allows."""

from typing import Literal, get_args

from api.resources import Model

Shape = Literal["square", "portrait", "landscape", "tall", "wide"]

SHAPES: tuple[Shape, ...] = get_args(Shape)

RATIOS: dict[Shape, tuple[int, int]] = {
    "square": (1, 1),
    "portrait": (3, 4),
    "landscape": (4, 3),
    "tall": (9, 16),
    "wide": (16, 9),
}
"""Width to height."""


def size_of(shape: Shape, model: Model) -> tuple[int, int]:
    """The size of this shape that has about as many pixels as the model's own, as its limits allow."""
    across, down = RATIOS[shape]
    limits, defaults = model.limits, model.defaults
    pixels = min(defaults.width * defaults.height, limits.max_pixels)
    step = limits.size_multiple
    height = (pixels * down / across) ** 0.5
    return (
        _whole(height * across / down, step, limits.width.min, limits.width.max),
        _whole(height, step, limits.height.min, limits.height.max),
    )


def _whole(length: float, step: int, least: int, most: int) -> int:
    """The largest multiple that is not longer, within the limits."""
    least_multiple, most_multiple = -(-least // step) * step, most // step * step
    return min(max(int(length) // step * step, least_multiple), most_multiple)
