"""The foreground and whoever lives there: grass, flowers, a house, a boat, birds, a balloon, a cat."""

import numpy as np
from PIL import Image, ImageDraw

from services.executor.sketch.painting.canvas import Canvas, Colour, colour, mix, noise, profile
from services.executor.sketch.painting.land import treeline
from services.executor.sketch.painting.light import Light
from services.executor.sketch.painting.scene import Scene

_OVERSAMPLING = 4
_PETALS = {
    "spring": "f7b6cc f9e27d ffffff d9a6f0 f48fb1",
    "summer": "e2483d f6c945 ffffff 8f6be0 f27ba5",
    "autumn": "e08a2c c9482c f0c24b a8506a e8b27a",
    "winter": "dfe8f6 ffffff b9cbe6 f3e9f2 c7d6f0",
}
Shape = tuple[str, tuple[float, ...]]
_CAT: list[Shape] = [
    ("ellipse", (0.22, 0.42, 0.72, 1.0)),
    ("ellipse", (0.30, 0.30, 0.62, 0.80)),
    ("ellipse", (0.27, 0.12, 0.63, 0.44)),
    ("polygon", (0.28, 0.24, 0.29, 0.01, 0.44, 0.15)),
    ("polygon", (0.62, 0.24, 0.61, 0.01, 0.46, 0.15)),
    (
        "polygon",
        (0.50, 0.99, 0.74, 0.90, 0.85, 0.76, 0.86, 0.62, 0.91, 0.58, 0.95, 0.62, 0.95, 0.78, 0.84, 0.96, 0.6, 1.0),
    ),
]
_HOUSE: list[Shape] = [
    ("polygon", (0.14, 0.5, 0.86, 0.5, 0.86, 1.0, 0.14, 1.0)),
    ("polygon", (0.04, 0.52, 0.3, 0.16, 0.72, 0.16, 0.96, 0.52)),
    ("polygon", (0.62, 0.04, 0.71, 0.04, 0.71, 0.3, 0.62, 0.3)),
]
_HULL: list[Shape] = [("polygon", (0.06, 0.80, 0.96, 0.80, 0.80, 0.97, 0.22, 0.97))]
_SAILS: list[Shape] = [
    ("polygon", (0.46, 0.02, 0.46, 0.76, 0.12, 0.76)),
    ("polygon", (0.50, 0.10, 0.50, 0.76, 0.86, 0.76)),
]
_TOWER: list[Shape] = [
    ("polygon", (0.38, 0.2, 0.62, 0.2, 0.70, 1.0, 0.30, 1.0)),
    ("polygon", (0.34, 0.2, 0.66, 0.2, 0.66, 0.17, 0.34, 0.17)),
    ("polygon", (0.40, 0.08, 0.60, 0.08, 0.50, 0.0)),
]
_ENVELOPE: list[Shape] = [
    ("ellipse", (0.12, 0.0, 0.88, 0.72)),
    ("polygon", (0.19, 0.52, 0.81, 0.52, 0.58, 0.82, 0.42, 0.82)),
]
_BASKET: list[Shape] = [("polygon", (0.43, 0.88, 0.57, 0.88, 0.56, 0.99, 0.44, 0.99))]
_GULL: list[Shape] = [
    (
        "polygon",
        (0, 0.34, 0.2, 0.22, 0.38, 0.32, 0.5, 0.5, 0.62, 0.32, 0.8, 0.22, 1, 0.34, 0.8, 0.32, 0.5, 0.66, 0.2, 0.32),
    ),
]


def stamp(
    canvas: Canvas, shapes: list[Shape], box: tuple[float, float, float, float], paint: Colour, alpha: float = 1
) -> None:
    """Fill shapes, given in fractions of the box (x, y, width, height), with one colour, anti-aliased."""
    x, y, width, height = box
    left, top = int(np.floor(x)), int(np.floor(y))
    columns, rows = int(width) + 2, int(height) + 2
    big = Image.new("L", (columns * _OVERSAMPLING, rows * _OVERSAMPLING))
    draw = ImageDraw.Draw(big)
    for kind, points in shapes:
        at = [
            ((p * width + x - left) if i % 2 == 0 else (p * height + y - top)) * _OVERSAMPLING
            for i, p in enumerate(points)
        ]
        if kind == "ellipse":
            draw.ellipse(at, fill=255)
        else:
            draw.polygon(at, fill=255)
    mask = np.asarray(big.reduce(_OVERSAMPLING), np.float32) / 255 * alpha
    clip_left, clip_top = max(0, -left), max(0, -top)
    part = canvas.pixels[max(0, top) : max(0, top + rows), max(0, left) : max(0, left + columns)]
    mask = mask[clip_top : clip_top + part.shape[0], clip_left : clip_left + part.shape[1]]
    part += (paint - part) * mask[..., None]


def paint_meadow(canvas: Canvas, scene: Scene, light: Light, ground: float) -> None:
    """Grass up to the viewer's feet, with flowers where the scene has them."""
    rng, u = scene.rng("meadow"), canvas.unit
    edge = ground + u * 0.03 * (profile(rng, canvas.width, u * 0.7, 3) - 0.5)
    top = int(max(0, edge.min() - 1))
    texture = np.zeros((canvas.height, canvas.width), np.float32)
    texture[top:] = canvas.receding(rng, top, (0.35, 14)) - 0.5
    blades = noise(rng, canvas.width, canvas.height - top, (u * 0.006, u * 0.03), 3, gain=0.7) - 0.5
    texture[top:] += blades * np.linspace(0.1, 0.75, canvas.height - top, dtype=np.float32)[:, None]
    grass = mix(light.near, light.sun, 0.12)
    canvas.below(edge, light.at_distance(grass, 0.22), light.lit(grass) * 0.58, canvas.height - ground, texture * 0.75)
    if "flowers" in scene.details or "meadow" in scene.lands:
        _flowers(canvas, scene, light, ground)


def _flowers(canvas: Canvas, scene: Scene, light: Light, ground: float) -> None:
    rng, u = scene.rng("flowers"), canvas.unit
    room = canvas.height - ground
    if room < 4:
        return
    petals = [light.lit(mix(colour(code), colour("ffffff"), 0.08)) for code in _PETALS[scene.season].split()]
    favourite = rng.dirichlet(np.full(len(petals), 0.7))
    count = int((2600 if "flowers" in scene.details else 700) * min(4.0, canvas.width / u))
    near = np.sort(rng.random(count) ** 0.85)
    drift = profile(rng, canvas.width, u * 0.25, 3)
    top = int(ground)
    layer = Image.new("RGBA", (canvas.width, canvas.height - top))
    draw = ImageDraw.Draw(layer)
    x = rng.random(count) * canvas.width
    kept = rng.random(count) < drift[x.astype(int)] * 1.5 - 0.1
    kinds = rng.choice(len(petals), count, p=favourite)
    for share, at, kind in zip(near[kept], x[kept], kinds[kept], strict=True):
        radius = u * (0.0016 + 0.0105 * share**2.2)
        y = share * room * 1.03
        ink = tuple(int(v) for v in np.clip(petals[kind] * (0.78 + 0.3 * ((at * 7) % 1)), 0, 1) * 255)
        if radius > 3:
            draw.line((at, y, at - radius * 0.3, y + radius * 4), fill=(38, 66, 34, 150), width=max(1, int(radius / 4)))
        draw.ellipse((at - radius, y - radius * 0.7, at + radius, y + radius * 0.7), fill=(*ink, 235))
        if radius > 3.5:
            core = radius * 0.32
            draw.ellipse((at - core, y - core * 0.7, at + core, y + core * 0.7), fill=(250, 214, 92, 235))
    pixels = np.asarray(layer, np.float32) / 255
    canvas.blend(pixels[..., 3], pixels[..., :3], top)


def paint_bank(canvas: Canvas, scene: Scene, light: Light) -> None:
    """A dark near shore in one corner, with trees or reeds, that gives the water its depth."""
    rng, u = scene.rng("bank"), canvas.unit
    side = rng.choice([-1, 1])
    slope = np.linspace(0, 1, canvas.width, dtype=np.float32)[::side]
    corner = np.clip(1 - slope / rng.uniform(0.45, 0.75), 0, 1) ** 1.4
    edge = canvas.height + u * 0.02 - u * corner * (0.2 + 0.05 * profile(rng, canvas.width, u * 0.15, 4))
    dark = light.lit(light.tree) * 0.55
    trees = treeline(rng, edge + u * 0.01, u * rng.uniform(0.16, 0.3), conifer=0.8 if scene.season == "winter" else 0.6)
    wooded = edge - (edge - trees) * np.minimum(1, corner * 1.8)
    leaves = noise(rng, canvas.width, canvas.height, (u * 0.02, u * 0.02), 3) - 0.5
    canvas.below(wooded, dark, dark * 0.7, u * 0.2, leaves * 0.6)


def paint_house(canvas: Canvas, scene: Scene, light: Light, ground: float) -> None:
    rng, u = scene.rng("house"), canvas.unit
    size = u * rng.uniform(0.09, 0.13)
    x, y = canvas.width * rng.uniform(0.14, 0.8), ground - size * 0.88
    stamp(canvas, _HOUSE[:1], (x, y, size * 1.25, size), light.lit(colour("e8dcc8")) * 0.92)
    stamp(canvas, _HOUSE[1:], (x, y, size * 1.25, size), light.lit(colour("8c3f35")) * 0.95)
    dusk = scene.hour not in {"day", "golden"}
    pane = colour("ffd27a") if dusk else light.lit(colour("5b6f86"))
    for left in (0.26, 0.6):
        window = ("polygon", (left, 0.62, left + 0.14, 0.62, left + 0.14, 0.8, left, 0.8))
        stamp(canvas, [window], (x, y, size * 1.25, size), pane)
    if dusk:
        canvas.glow(x + size * 0.62, y + size * 0.72, (size * 0.9, size * 0.6), colour("ffb85c") * 0.4)


def paint_lighthouse(canvas: Canvas, scene: Scene, light: Light, ground: float) -> None:
    rng, u = scene.rng("lighthouse"), canvas.unit
    tall = u * rng.uniform(0.26, 0.34)
    x, y = canvas.width * rng.uniform(0.12, 0.8), ground - tall * 0.96
    rise = u * 0.16 * np.exp(-(((canvas.x - x - tall * 0.25) / (u * 0.2)) ** 2))
    rock = light.lit(colour("47505a")) * 0.8
    canvas.below(ground + 2 - rise * (0.25 + 0.15 * profile(rng, canvas.width, u * 0.05, 3)), rock, rock * 0.8, u * 0.1)
    box = (x, y, tall * 0.5, tall)
    stamp(canvas, _TOWER, box, light.lit(colour("f2ece2")))
    for band in (0.3, 0.52, 0.74):
        stamp(
            canvas,
            [("polygon", (0.37, band, 0.63, band, 0.65, band + 0.1, 0.35, band + 0.1))],
            box,
            light.lit(colour("b8362f")),
        )
    stamp(canvas, [("polygon", (0.41, 0.09, 0.59, 0.09, 0.59, 0.17, 0.41, 0.17))], box, colour("ffe9a8"))
    canvas.glow(x + tall * 0.25, y + tall * 0.13, (u * 0.07, u * 0.06), colour("fff0b8") * 0.85)
    if scene.hour in {"night", "sunset", "dawn"}:
        canvas.glow(x + tall * 0.25, y + tall * 0.13, (u * 0.6, u * 0.018), colour("fff0b8") * 0.5)


def paint_boat(canvas: Canvas, scene: Scene, light: Light, shore: float) -> None:
    rng, u = scene.rng("boat"), canvas.unit
    size = u * rng.uniform(0.1, 0.16)
    x = canvas.width * rng.uniform(0.2, 0.7)
    y = shore + (canvas.height - shore) * rng.uniform(0.12, 0.3) - size * 0.9
    sail, hull = mix(light.lit(colour("fffaf0")), light.sun, 0.25), light.lit(colour("5a3626"))
    for shapes, paint in ((_SAILS, sail), (_HULL, hull)):
        mirrored = [(kind, tuple(1.88 - p if i % 2 else p for i, p in enumerate(points))) for kind, points in shapes]
        stamp(canvas, mirrored, (x, y, size, size), paint * 0.75, 0.28)
        stamp(canvas, shapes, (x, y, size, size), paint)
    stamp(canvas, [("polygon", (0.47, 0.0, 0.49, 0.0, 0.49, 0.82, 0.47, 0.82))], (x, y, size, size), hull)


def paint_birds(canvas: Canvas, scene: Scene, light: Light, horizon: float) -> None:
    rng, u = scene.rng("birds"), canvas.unit
    x, y = canvas.width * rng.uniform(0.25, 0.75), horizon * rng.uniform(0.25, 0.5)
    ink = mix(light.sky[0] * 0.35, colour("10131c"), 0.5)
    for _ in range(int(rng.integers(7, 15))):
        span = u * rng.uniform(0.016, 0.042)
        at = (x + rng.normal() * u * 0.14, y + rng.normal() * u * 0.06, span, span * rng.uniform(0.45, 0.75))
        stamp(canvas, _GULL, at, ink, 0.85)


def paint_balloons(canvas: Canvas, scene: Scene, light: Light, horizon: float) -> None:
    rng, u = scene.rng("balloon"), canvas.unit
    hues = ["d9483b f4c95d", "3d6fb8 f2efe6", "e07b39 7a2e4d", "4f9d69 f6e7b0", "8e5bb5 f7c6d9"]
    for _ in range(int(rng.integers(3, 7))):
        size = u * rng.uniform(0.05, 0.15)
        box = (canvas.width * rng.uniform(0.05, 0.88), horizon * rng.uniform(0.08, 0.62), size, size * 1.25)
        main, stripe = (mix(light.lit(colour(code)), colour(code), 0.4) for code in rng.choice(hues).split())
        stamp(canvas, _ENVELOPE, box, main)
        stamp(
            canvas,
            [("ellipse", (0.36, 0.0, 0.64, 0.74)), ("polygon", (0.4, 0.5, 0.6, 0.5, 0.55, 0.82, 0.45, 0.82))],
            box,
            stripe,
        )
        stamp(canvas, [("ellipse", (0.2, 0.04, 0.42, 0.5))], box, colour("ffffff"), 0.12)
        stamp(canvas, _BASKET, box, colour("5a3c28"))


def paint_cat(canvas: Canvas, scene: Scene, light: Light) -> None:
    """A cat that sits in front and watches the view."""
    rng, u = scene.rng("cat"), canvas.unit
    size = u * rng.uniform(0.2, 0.26)
    x = canvas.width * rng.uniform(0.12, 0.7)
    ledge = canvas.height - u * (0.035 + 0.05 * np.exp(-(((canvas.x - x - size * 0.5) / (u * 0.35)) ** 2)))
    dark = light.lit(light.tree) * 0.4
    canvas.below(ledge, dark, dark * 0.8, u * 0.1)
    at = (x, float(ledge[int(np.clip(x + size * 0.5, 0, canvas.width - 1))]) - size * 0.97, size, size)
    rim = mix(light.sun, light.sky[3], 0.5)
    fur = mix(colour(str(rng.choice(["16161c", "241a17", "3a2a20"]))), light.ambient, 0.06)
    stamp(canvas, _CAT, (at[0] - u * 0.002, at[1] - u * 0.002, *at[2:]), rim, 0.75)
    stamp(canvas, _CAT, at, fur)
