"""Water that mirrors what stands above it, with ripples, waves and the glitter of the light."""

import numpy as np

from services.executor.sketch.painting.canvas import Canvas, colour, mix, noise, profile, smoothstep
from services.executor.sketch.painting.light import Light
from services.executor.sketch.painting.scene import Scene


def paint_water(canvas: Canvas, scene: Scene, light: Light, shore: int, sun_x: float) -> None:
    """Fill everything below the row `shore` with a mirror of the picture above it."""
    rows = canvas.height - shore
    if rows < 2:
        return
    rng, u = scene.rng("water"), canvas.unit
    sea = "sea" in scene.lands or "storm" in scene.details
    down = np.arange(rows, dtype=np.float32)
    ripple = canvas.receding(rng, shore, (0.16 if sea else 0.3, 36)) - 0.5
    reach = (u * 0.004 + down * (0.34 if sea else 0.12))[:, None]
    source = np.clip(shore - 1 - down[:, None] * 0.82 + ripple * reach, 0, shore - 1).astype(int)
    mirror = canvas.pixels[source, np.arange(canvas.width)]
    deep = mix(light.lit(colour("1d5a70" if sea else "1f4a5c")), light.sky[0], 0.4)
    share = (0.16 if not sea else 0.5) + (0.3 if sea else 0.36) * (down / rows)[:, None] ** 0.8
    share = np.clip(share - ripple * (0.9 if sea else 0.35), 0, 0.93)
    water = mix(mirror, deep, share[..., None])
    crest = smoothstep(0.12, 0.3, ripple) * (0.3 if sea else 0.1)
    water += crest[..., None] * (light.sky[3] - water)
    if not scene.details & {"storm", "rain", "fog"}:
        path = np.exp(-(((canvas.x - sun_x) / (u * 0.05 + down[:, None] * 0.35)) ** 2))
        sparkle = smoothstep(0.03, 0.16, ripple) * path * (0.5 if scene.hour != "day" else 0.3)
        water += sparkle[..., None] * (light.sun - water)
    edge = np.exp(-down / (u * 0.006))[:, None]
    water += (edge * 0.35)[..., None] * (light.haze - water)
    canvas.pixels[shore:] = water


def paint_beach(canvas: Canvas, scene: Scene, light: Light, shore: int) -> None:
    """A curve of sand in the corner, a wet band and a line of foam."""
    rng, u = scene.rng("beach"), canvas.unit
    room = canvas.height - shore
    slant = np.linspace(-0.5, 0.5, canvas.width, dtype=np.float32) * rng.choice([-1, 1])
    edge = canvas.height - room * (0.26 + 0.34 * slant + 0.1 * profile(rng, canvas.width, u * 0.6, 3))
    lap = u * 0.012 * profile(rng, canvas.width, u * 0.12, 3)
    sand = light.lit(colour("e8cfa0"))
    for shift, paint in ((u * 0.055, mix(sand, light.sky[2], 0.4) * 0.8), (u * 0.012, sand * 0.72)):
        canvas.below(edge - shift * 0.35 + lap, paint, paint, 1)
    foam = np.exp(-(((canvas.y - (edge - u * 0.02 + lap)) / (u * 0.006)) ** 2))
    canvas.blend((foam * 0.75), mix(colour("ffffff"), light.sky[2], 0.2) * 0.97)
    grains = noise(rng, canvas.width, canvas.height, (u * 0.05, u * 0.012), 4, gain=0.7) - 0.5
    canvas.below(edge + u * 0.02 + lap, sand, sand * 0.86, u * 0.3, grains * 0.16)
