"""What hangs in the air: mist, rain, snowflakes."""

import numpy as np
from PIL import Image, ImageDraw

from services.executor.sketch.painting.canvas import Canvas, colour, mix, noise
from services.executor.sketch.painting.light import Light
from services.executor.sketch.painting.scene import Scene


def paint_mist(canvas: Canvas, scene: Scene, light: Light, ground: float) -> None:
    """A band of mist on the ground: faint at dawn, thick where the scene asks for fog."""
    thick = 0.62 if "fog" in scene.details else 0.3 if scene.hour == "dawn" else 0.14
    rng, u = scene.rng("mist"), canvas.unit
    veil = noise(rng, canvas.width, canvas.height, (u * 0.7, u * 0.09), 4)
    spread = u * (0.2 if "fog" in scene.details else 0.07)
    band = np.exp(-(((canvas.y - ground) / spread) ** 2))
    canvas.blend((band * np.clip(veil * 1.9 - 0.45, 0, 1) * thick), mix(light.haze, light.sky[3], 0.5))


def paint_weather(canvas: Canvas, scene: Scene, light: Light) -> None:
    rng, u = scene.rng("weather"), canvas.unit
    area = canvas.width * canvas.height / u**2
    layer = Image.new("L", (canvas.width, canvas.height))
    draw = ImageDraw.Draw(layer)
    if scene.details & {"rain", "storm"}:
        slant = rng.uniform(-0.25, 0.25)
        for _ in range(int(520 * area)):
            x, y = rng.uniform(-0.1, 1.1) * canvas.width, rng.uniform(-0.1, 1) * canvas.height
            fall = u * rng.uniform(0.02, 0.07)
            draw.line((x, y, x + slant * fall, y + fall), fill=int(rng.integers(28, 105)), width=max(1, int(u / 900)))
    if "snow" in scene.details:
        for _ in range(int(620 * area)):
            x, y = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height)
            radius = u * 0.0008 + u * 0.0055 * rng.random() ** 5
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(rng.integers(90, 235)))
    if layer.getbbox():
        veil = np.asarray(layer, np.float32) / 255
        canvas.blend(veil, mix(light.sky[3], colour("ffffff"), 0.6))
