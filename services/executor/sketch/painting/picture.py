"""From a scene to pixels: the order of the layers, and how a picture looks while it is still being painted."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.executor.sketch.painting import life
from services.executor.sketch.painting.canvas import Canvas
from services.executor.sketch.painting.land import paint_land
from services.executor.sketch.painting.light import Light, light_of
from services.executor.sketch.painting.scene import Scene
from services.executor.sketch.painting.sky import paint_sky
from services.executor.sketch.painting.water import paint_beach, paint_water
from services.executor.sketch.painting.weather import paint_mist, paint_weather

Pixels = NDArray[np.uint8]
"""Shape (height, width, 3), RGB."""

PREVIEW_SIZE_PX = 512
"""Long side of a preview, up- or downscaled, as ComfyUI's --preview-size (docs/comfyui-protocol.md §3.3)."""
_GRAIN = 0.011


def paint(scene: Scene, width: int, height: int) -> Pixels:
    """The finished picture; the same arguments give the same bytes."""
    canvas, light = Canvas(width, height), light_of(scene)
    rng = scene.rng("layout")
    ground = height * (rng.uniform(0.54, 0.62) if scene.has_water else rng.uniform(0.6, 0.7))
    if scene.lands == {"sea"}:
        ground = height * rng.uniform(0.5, 0.58)
    elif scene.lands == {"forest"}:
        ground = height * rng.uniform(0.84, 0.9)
    sun_x, _ = paint_sky(canvas, scene, light, ground)
    paint_land(canvas, scene, light, ground, sun_x)
    paint_mist(canvas, scene, light, ground)
    if "lighthouse" in scene.details:
        life.paint_lighthouse(canvas, scene, light, ground)
    if "house" in scene.details and scene.has_water:
        life.paint_house(canvas, scene, light, ground)
    if "balloon" in scene.details:
        life.paint_balloons(canvas, scene, light, ground)
    if "birds" in scene.details:
        life.paint_birds(canvas, scene, light, ground)
    _paint_foreground(canvas, scene, light, ground, sun_x)
    paint_weather(canvas, scene, light)
    if "cat" in scene.details:
        life.paint_cat(canvas, scene, light)
    grain = scene.rng("grain").standard_normal((height, width), np.float32) * _GRAIN
    return canvas.finish(scene.hue, scene.vividness, grain)


def _paint_foreground(canvas: Canvas, scene: Scene, light: Light, ground: float, sun_x: float) -> None:
    if scene.has_water or (scene.lands == {"city"}):
        paint_water(canvas, scene, light, int(ground), sun_x)
        if "boat" in scene.details:
            life.paint_boat(canvas, scene, light, ground)
        if scene.lands == {"sea"}:
            paint_beach(canvas, scene, light, int(ground))
        elif "sea" not in scene.lands and "city" not in scene.lands:
            life.paint_bank(canvas, scene, light)
    elif "desert" not in scene.lands:
        life.paint_meadow(canvas, scene, light, ground)
        if "house" in scene.details:
            life.paint_house(canvas, scene, light, ground + canvas.unit * 0.05)


def shown(picture: Pixels) -> Image.Image:
    """The picture in a preview's size."""
    height, width = picture.shape[:2]
    scale = PREVIEW_SIZE_PX / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)


def unfinished(preview: Image.Image, progress: float, noise: np.random.Generator) -> bytes:
    """JPEG of what is `shown` as a sampler would show it: noise and blur at 0, the picture itself at 1.

    Both are laid over each other in the finer one's size and made larger once, which is half the work.
    """
    if progress < 1:
        blur = 1 + 28 * (1 - progress) ** 1.6
        width, height = preview.size
        coarse = max(1, round(width / blur)), max(1, round(height / blur))
        latent = max(1, width // 8), max(1, height // 8)
        finer = max(coarse[0], latent[0]), max(coarse[1], latent[1])
        soft = preview.resize(coarse, Image.Resampling.BOX).resize(finer, Image.Resampling.BICUBIC)
        grid = noise.integers(0, 256, (latent[1], latent[0], 3), np.uint8)
        veil = Image.fromarray(grid).resize(finer, Image.Resampling.BICUBIC)
        veiled = Image.blend(soft, veil, 0.72 * (1 - progress) ** 1.4)
        preview = veiled.resize(preview.size, Image.Resampling.BICUBIC)
    jpeg = io.BytesIO()
    preview.save(jpeg, "JPEG", quality=90)
    return jpeg.getvalue()
