"""The sky: gradient, sun or moon, stars, aurora, clouds and rainbow."""

import numpy as np

from services.executor.sketch.painting.canvas import Canvas, colour, mix, noise, profile, shifted, smoothstep
from services.executor.sketch.painting.light import Light
from services.executor.sketch.painting.scene import Scene


def paint_sky(canvas: Canvas, scene: Scene, light: Light, horizon: float) -> tuple[float, float]:
    """Paint everything above the horizon; returns where the sun or the moon stands."""
    stops = (0.0, 0.48, 0.82, 1.0)
    canvas.gradient(list(zip(stops, light.sky, strict=True)), horizon)
    rng = scene.rng("sun")
    x = canvas.width * rng.uniform(0.18, 0.82)
    height = {"dawn": 0.14, "sunset": 0.12, "golden": 0.26, "day": 0.68, "night": 0.66}[scene.hour]
    y = horizon - horizon * height * rng.uniform(0.8, 1.25)
    night = scene.hour == "night"
    if night:
        _stars(canvas, scene, horizon)
    if "aurora" in scene.details:
        _aurora(canvas, scene, horizon)
    gloomy = bool(scene.details & {"storm", "rain", "fog"})
    if night:
        if "stars" not in scene.details or "moon" in scene.details:
            _moon(canvas, light, (x, y), crescent=rng.random() < 0.45)
    elif not gloomy:
        _sun(canvas, scene, light, (x, y))
    _clouds(canvas, scene, light, horizon, (x, y))
    if "rainbow" in scene.details:
        _rainbow(canvas, scene, horizon)
    return x, y


def _sun(canvas: Canvas, scene: Scene, light: Light, at: tuple[float, float]) -> None:
    u, low = canvas.unit, scene.hour != "day"
    canvas.glow(*at, (u * 1.1, u * 0.34), light.sun * (0.42 if low else 0.2))
    canvas.glow(*at, (u * 0.34, u * 0.28), light.sun * (0.5 if low else 0.35))
    canvas.glow(*at, (u * 0.1, u * 0.1), light.sun * 0.6)
    mask, top = canvas.disc(*at, u * (0.052 if low else 0.034))
    canvas.blend(mask * 0.96, mix(light.sun, colour("ffffff"), 0.5), top)


def _moon(canvas: Canvas, light: Light, at: tuple[float, float], *, crescent: bool) -> None:
    u = canvas.unit
    canvas.glow(*at, (u * 0.5, u * 0.45), light.sun * 0.16)
    canvas.glow(*at, (u * 0.13, u * 0.13), light.sun * 0.34)
    radius = u * 0.05
    mask, top = canvas.disc(*at, radius)
    if crescent:
        shadow, shadow_top = canvas.disc(at[0] + radius * 0.55, at[1] - radius * 0.25, radius * 0.92)
        rows = min(mask.shape[0], shadow.shape[0])
        shift = top - shadow_top
        hidden = np.zeros_like(mask)
        source = shadow[max(0, shift) : max(0, shift) + rows]
        start = max(0, -shift)
        source = source[: hidden.shape[0] - start]
        hidden[start : start + source.shape[0]] = source
        mask = mask * (1 - hidden)
    seas = noise(np.random.default_rng(7), canvas.width, mask.shape[0], (radius * 0.7, radius * 0.7), 3)
    face = light.sun * (1 - 0.22 * smoothstep(0.45, 0.7, seas))[..., None]
    canvas.blend(mask, face, top)


def _stars(canvas: Canvas, scene: Scene, horizon: float) -> None:
    rng = scene.rng("stars")
    rows = int(max(4, min(canvas.height, horizon)))
    many = "stars" in scene.details
    band = noise(rng, canvas.width, rows, (canvas.unit * 0.3, canvas.unit * 0.2), 5)
    tilt = rng.uniform(-0.6, 0.6)
    across = (canvas.x - canvas.width / 2) * tilt + rows * rng.uniform(0.3, 0.55) - canvas.y[:rows]
    milky = np.exp(-((across / (canvas.unit * 0.16)) ** 2)) * smoothstep(0.35, 0.75, band)
    if many:
        glow = (milky * 0.42)[..., None] * mix(colour("8a9be0"), colour("f0c8d8"), band[..., None])
        canvas.pixels[:rows] += (1 - canvas.pixels[:rows]) * glow
    count = int(canvas.width * rows / canvas.unit**2 * (1900 if many else 500))
    xs, ys = rng.integers(0, canvas.width, count), (rows * rng.random(count) ** 1.25).astype(int)
    power = rng.random(count).astype(np.float32) ** (2.6 if many else 4.0)
    power *= 0.35 + 0.65 * rng.random(count).astype(np.float32) + milky[ys, xs]
    layer = np.zeros((rows, canvas.width), np.float32)
    np.maximum.at(layer, (ys, xs), np.clip(power, 0, 1))
    soft = canvas.unit / 900
    if soft > 0.45:
        for axis in (0, 1):
            layer = np.maximum(
                layer, np.maximum(np.roll(layer, 1, axis), np.roll(layer, -1, axis)) * min(0.55, soft * 0.45)
            )
    canvas.blend(layer, colour("f4f3ff"))
    for _ in range(7 if many else 3):
        x, y = rng.uniform(0, canvas.width), rows * rng.uniform(0.03, 0.6)
        canvas.glow(x, y, (canvas.unit * 0.008,) * 2, colour("dfe6ff") * 0.9)


def _aurora(canvas: Canvas, scene: Scene, horizon: float) -> None:
    rng = scene.rng("aurora")
    rows = int(max(4, min(canvas.height, horizon)))
    y = canvas.y[:rows]
    for low, high in ((colour("2bff9e"), colour("5a4bff")), (colour("37e6c8"), colour("c04bd8"))):
        curve = rows * (0.42 + 0.42 * profile(rng, canvas.width, canvas.unit * 0.55, 3))
        rays = profile(rng, canvas.width, canvas.unit * 0.07, 4) ** 2 * 1.6
        rise = (curve - y) / (rows * (0.22 + 0.4 * profile(rng, canvas.width, canvas.unit * 0.2, 3)))
        strength = np.where(rise > 0, np.exp(-(rise * 1.5)), np.exp(rise * 14)) * rays
        veil = np.clip(strength, 0, 1)[..., None] * mix(low, high, np.clip(rise * 0.8, 0, 1)[..., None])
        canvas.pixels[:rows] += (1 - canvas.pixels[:rows]) * veil * 0.75


def _clouds(canvas: Canvas, scene: Scene, light: Light, horizon: float, sun: tuple[float, float]) -> None:
    rng = scene.rng("clouds")
    rows = int(max(4, min(canvas.height, horizon)))
    u = canvas.unit
    cover = 0.30 if "cloud" in scene.details else rng.uniform(0.02, 0.2)
    if "storm" in scene.details:
        cover = 0.5
    elif scene.details & {"rain", "snow"}:
        cover = 0.38
    elif scene.hour == "night" or "aurora" in scene.details:
        cover *= 0.45
    field = noise(rng, canvas.width, rows, (u * 0.55, u * 0.2), 6, gain=0.52)
    wisps = noise(rng, canvas.width, rows, (u * 0.9, u * 0.06), 4, gain=0.55)
    field = field * 0.78 + wisps * 0.22
    fade = 0.07 * (canvas.y[:rows] / rows)
    density = smoothstep(0.60 - cover, 0.80 - cover * 0.8, field - fade)
    shift = int(max(2, u * 0.02))
    lower = shifted(field, -shift if sun[1] < rows * 0.6 else shift, 0)
    sideways = shifted(field, 0, shift if sun[0] < canvas.width / 2 else -shift)
    relief = np.clip(0.5 + (field * 2 - lower - sideways) * 3.2, 0, 1)
    near = np.exp(-(((canvas.x - sun[0]) / (u * 0.55)) ** 2 + ((canvas.y[:rows] - sun[1]) / (u * 0.4)) ** 2))
    bright = mix(light.sky[3], light.sun, 0.5)
    shade = mix(light.sky[1], light.sky[2], 0.35)
    if scene.hour in {"dawn", "sunset"}:
        bright = mix(bright, light.sky[2], 0.35)
    if scene.hour == "night":
        bright = mix(light.sky[2], light.sky[3], 0.4)
    paint = mix(shade, bright, np.clip(relief * 0.75 + near * 0.45, 0, 1)[..., None])
    canvas.blend(density * (0.55 if scene.hour == "night" else 0.88), paint)


def _rainbow(canvas: Canvas, scene: Scene, horizon: float) -> None:
    x = canvas.width * scene.rng("rainbow").uniform(0.3, 0.7)
    rows = int(max(4, min(canvas.height, horizon)))
    radius, width = min(rows * 0.85, canvas.width * 0.45), canvas.unit * 0.05
    at = (np.hypot(canvas.x - x, canvas.y[:rows] - horizon) - radius) / width
    bands = [colour(code) for code in ("6a3fd0", "3f7be0", "3fc878", "f0e050", "f08a3c", "e0403c")]
    paint = np.stack([np.interp(at, np.linspace(-0.8, 0.8, 6), [b[i] for b in bands]) for i in range(3)], -1)
    canvas.blend((np.exp(-(at**4) * 1.6) * 0.38).astype(np.float32), paint.astype(np.float32))
