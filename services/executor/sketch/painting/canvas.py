"""What every layer paints with: colours, soft edges, fractal noise and one canvas.

Colours are RGB triples in 0..1, masks are in 0..1; coordinates are pixels with y down.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.floating[Any]]
Colour = Floats

DETAIL_LIMIT_PX = 2.0
"""Noise finer than this is grain, not shape: octaves stop here."""


def colour(code: str) -> Colour:
    """`colour("ff8800")`: an sRGB colour."""
    return np.array([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)], np.float32)


def mix(a: Floats, b: Floats, share: Floats | float) -> Floats:
    """`a` where share is 0, `b` where it is 1."""
    return np.asarray(a + (b - a) * share, np.float32)


def smoothstep(low: float, high: float, x: Floats) -> Floats:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def noise(
    rng: np.random.Generator, width: int, height: int, cell: tuple[float, float], octaves: int = 5, *, gain: float = 0.5
) -> Floats:
    """Fractal noise of shape (height, width) in 0..1; `cell` is the size in pixels (x, y) of the largest lumps."""
    total = np.zeros((height, width), np.float32)
    reach, weight = 0.0, 1.0
    cell_x, cell_y = cell
    for octave in range(octaves):
        if octave and min(cell_x, cell_y) < DETAIL_LIMIT_PX:
            break
        columns, rows = width / cell_x, height / cell_y
        grid = rng.random((int(rows) + 4, int(columns) + 4), np.float32)
        x, y = rng.random(2) + 0.5
        smooth = Image.fromarray(grid).resize(
            (width, height), Image.Resampling.BICUBIC, box=(x, y, x + columns, y + rows)
        )
        total += np.asarray(smooth) * weight
        reach += weight
        weight *= gain
        cell_x, cell_y = cell_x / 2, cell_y / 2
    return np.asarray(np.clip(total / reach, 0, 1))


def profile(rng: np.random.Generator, width: int, cell: float, octaves: int = 6, gain: float = 0.5) -> Floats:
    """Fractal noise along one line of `width` pixels, in 0..1; `cell` is the width of the largest bumps."""
    total = np.zeros(width, np.float32)
    reach, weight = 0.0, 1.0
    for octave in range(octaves):
        if octave and cell < DETAIL_LIMIT_PX:
            break
        at = np.arange(width, dtype=np.float32) / cell + rng.random()
        left = at.astype(int)
        bend = at - left
        bend = bend * bend * bend * (bend * (bend * 6 - 15) + 10)
        grid = rng.random(left[-1] + 2, np.float32)
        total += mix(grid[left], grid[left + 1], bend) * weight
        reach += weight
        weight *= gain
        cell /= 2
    return total / reach


def shifted(field: Floats, rows: int, columns: int) -> Floats:
    """The field moved down and right; its border is stretched into the gap."""
    height, width = field.shape
    y = np.clip(np.arange(height) - rows, 0, height - 1)
    x = np.clip(np.arange(width) - columns, 0, width - 1)
    return field[y][:, x]


class Canvas:
    """A picture in the making: float32 RGB of shape (height, width, 3)."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.pixels = np.zeros((height, width, 3), np.float32)
        self.unit = float(min(width, height) ** 0.65 * max(width, height) ** 0.35)
        """The length in pixels that shapes are measured by: panoramas get more shapes, not wider ones."""
        self.x = np.arange(width, dtype=np.float32)
        self.y = np.arange(height, dtype=np.float32)[:, None]

    def gradient(self, stops: Sequence[tuple[float, Colour]], bottom: float) -> None:
        """Fill from the top edge down to `bottom` with colours at fractions of that way."""
        at = np.arange(self.height, dtype=np.float32) / max(bottom, 1)
        where = [stop for stop, _ in stops]
        column = np.stack([np.interp(at, where, [c[i] for _, c in stops]) for i in range(3)], axis=-1)
        self.pixels[:] = column[:, None, :]

    def blend(self, mask: Floats, paint: Floats, top: int = 0) -> None:
        """Lay `paint` (a colour or pixels) over the rows from `top`, as opaque as `mask`."""
        part = self.pixels[top : top + mask.shape[0]]
        part += (paint - part) * mask[..., None]

    def glow(self, x: float, y: float, radius: tuple[float, float], light: Colour) -> None:
        """Add a soft light around a point, brightening towards white but never past it."""
        across = np.exp(-(((self.x - x) / radius[0]) ** 2))
        down = np.exp(-(((self.y[:, 0] - y) / radius[1]) ** 2))
        rows = np.flatnonzero(down > 0.004)
        if rows.size:
            part = self.pixels[rows[0] : rows[-1] + 1]
            veil = down[rows[0] : rows[-1] + 1, None] * across
            part += (1 - part) * veil[..., None] * light

    def receding(self, rng: np.random.Generator, top: int, cell: tuple[float, float]) -> Floats:
        """Noise on a plane that runs from the row `top`, at the horizon, to the viewer's feet.

        `cell` is the width of a lump in units and how many of them follow each other in depth.
        """
        depth = np.arange(self.height - top, dtype=np.float32) / self.unit
        bands = 420
        plane = noise(rng, self.width, bands, (self.unit * cell[0], bands / cell[1]), 4, gain=0.6)
        near = np.log1p(depth / 0.012) / np.log1p(1 / 0.012)
        return np.asarray(plane[np.minimum(near * bands, bands - 1).astype(int)])

    def disc(self, x: float, y: float, radius: float) -> tuple[Floats, int]:
        """The mask of an anti-aliased disc and its first row."""
        top, end = int(max(0, y - radius - 2)), int(min(self.height, y + radius + 3))
        distance = np.hypot(self.x - x, self.y[top:end] - y)
        return np.clip(radius - distance + 0.5, 0, 1).astype(np.float32), top

    def below(self, edge: Floats, near: Colour, far: Colour, fade: float, texture: Floats | None = None) -> None:
        """Fill everything under the line `edge` (one y per column).

        The fill goes from `near` at the edge to `far` after `fade` pixels; `texture` (height, width) around 0
        lightens and darkens it.
        """
        top = int(np.clip(edge.min() - 1, 0, self.height))
        depth = self.y[top:] - edge
        share = np.clip(depth / max(fade, 1), 0, 1)[..., None]
        paint = mix(near, far, share)
        if texture is not None:
            paint *= 1 + texture[top:, :, None]
        self.blend(np.clip(depth + 0.5, 0, 1), np.clip(paint, 0, 1), top)

    def finish(self, hue: float, vividness: float, grain: Floats) -> NDArray[np.uint8]:
        """Tint, contrast, vignette and film grain, then 8 bits."""
        pixels = self.pixels @ _hue_rotation(hue)
        grey = pixels.mean(axis=2, keepdims=True)
        pixels = grey + (pixels - grey) * vividness
        pixels = (pixels - 0.5) * (0.5 + vividness / 2) + 0.5
        across = ((self.x / self.width - 0.5) ** 2)[None, :]
        down = (self.y / self.height - 0.5) ** 2
        pixels *= (1.03 - 0.42 * (across + down))[..., None]
        pixels += grain[..., None]
        return np.asarray(np.clip(pixels, 0, 1) * 255 + 0.5, np.uint8)


def _hue_rotation(degrees: float) -> Floats:
    """Matrix that rotates a row vector of RGB about the grey axis (Rodrigues' formula)."""
    angle = np.deg2rad(degrees)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    rotation = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.full((3, 3), 1 / 3)
    return np.asarray(rotation.T, np.float32)
