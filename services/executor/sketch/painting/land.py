"""The ground: mountains, hills, forests, dunes, a city and a meadow, from the far to the near."""

import numpy as np

from services.executor.sketch.painting.canvas import (
    Canvas,
    Colour,
    Floats,
    colour,
    mix,
    noise,
    profile,
    shifted,
    smoothstep,
)
from services.executor.sketch.painting.light import Light
from services.executor.sketch.painting.scene import Scene


def paint_land(canvas: Canvas, scene: Scene, light: Light, ground: float, sun_x: float) -> None:
    """Paint the lands of the scene between the sky and the row `ground`, where the foreground begins."""
    lands = scene.lands
    if "mountain" in lands or lands == {"lake"}:
        _mountains(canvas, scene, light, ground, sun_x)
    if "desert" in lands:
        _dunes(canvas, scene, light, ground, sun_x)
    elif "hills" in lands or "meadow" in lands or lands == {"lake"}:
        _hills(canvas, scene, light, ground)
    if lands == {"sea"}:
        _islands(canvas, scene, light, ground)
    if "city" in lands:
        _city(canvas, scene, light, ground)
    if "forest" in lands:
        _forest(canvas, scene, light, ground)


def _mountains(canvas: Canvas, scene: Scene, light: Light, ground: float, sun_x: float) -> None:
    rng, u = scene.rng("mountains"), canvas.unit
    side = 1 if sun_x < canvas.width / 2 else -1
    crags = noise(rng, canvas.width, canvas.height, (u * 0.26, u * 0.34), 6, gain=0.55)
    crags = 1 - np.abs(2 * crags - 1)
    faces = crags - shifted(crags, -int(u * 0.015), int(max(1, u * 0.03)) * side)
    relief = faces * 0.8 + (crags - shifted(crags, 0, int(max(1, u * 0.008)) * side)) * 0.8
    layers = 4
    tall = rng.uniform(0.32, 0.46)
    for layer in range(layers):
        near = layer / (layers - 1)
        broad = swells(rng, canvas.width, u * (0.75 - 0.25 * near))
        sharp = 1 - np.abs(2 * profile(rng, canvas.width, u * 0.5, 7, 0.46) - 1)
        height = (0.42 * broad + 0.75 * sharp**1.4) * tall * (1 - 0.72 * near)
        edge = ground - min(u, ground * 1.75) * height - u * 0.02 * (1 - near)
        distance = (1 - near) ** 0.8 * 0.78 + 0.06
        rock = mix(mix(light.far, colour("6c7487"), 0.7), light.near, near**1.5)
        top, foot = light.at_distance(rock, distance), light.at_distance(rock, min(0.96, distance + 0.34))
        strength = 0.25 + 0.55 * np.sin(np.pi * min(near + 0.25, 1))
        texture = (-relief[:, ::-1] if layer % 2 else relief) * strength * (1 - distance * 0.6)
        canvas.below(edge, top, foot, u * 0.3, texture)
        if layer < layers - 1 and (scene.season == "winter" or (layer < 2 and tall > 0.33)):
            reach = u * (0.13 if scene.season == "winter" else 0.055)
            _snowcap(canvas, edge, reach, _snow_colour(scene, light, distance), crags=crags, texture=texture)
    if scene.season != "winter" or "forest" in scene.lands or "lake" in scene.lands:
        rise = ground - u * (0.012 + 0.05 * profile(rng, canvas.width, u * 0.5, 4))
        dark = light.at_distance(light.tree, 0.2)
        canvas.below(treeline(rng, rise, u * 0.045, conifer=0.85), dark, mix(dark, light.haze, 0.16), u * 0.09)


def swells(rng: np.random.Generator, width: int, cell: float) -> Floats:
    """A line of a few broad swells."""
    return profile(rng, width, cell, 2, 0.35)


def _snow_colour(scene: Scene, light: Light, distance: float) -> Colour:
    white = mix(colour("f7f9ff"), light.sun, 0.12) * np.sqrt(light.ambient)
    snow = mix(white, light.haze, distance * 0.6)
    return mix(snow, light.sky[3], 0.35) if scene.hour in {"dawn", "sunset", "golden"} else snow


def _snowcap(canvas: Canvas, edge: Floats, reach: float, snow: Colour, *, crags: Floats, texture: Floats) -> None:
    """Snow under the ridge `edge`, reaching further down from its peaks and along its crags."""
    top = int(np.clip(edge.min() - 1, 0, canvas.height))
    depth = canvas.y[top:] - edge
    altitude = (edge - edge.min()) / max(float(np.ptp(edge)), 1)
    line = reach * (1.25 - altitude) * (0.1 + 1.9 * crags[top:])
    mask = smoothstep(0, 1, (line - depth) / (reach * 0.22)) * np.clip(depth + 0.5, 0, 1)
    canvas.blend(mask * 0.93, np.clip(snow * (1 + texture[top:, :, None] * 0.75), 0, 1), top)


def _hills(canvas: Canvas, scene: Scene, light: Light, ground: float) -> None:
    rng, u = scene.rng("hills"), canvas.unit
    layers = 3 if "mountain" in scene.lands else 4
    for layer in range(layers):
        near = (layer + 1) / layers
        swell = swells(rng, canvas.width, u * rng.uniform(0.5, 0.9))
        edge = ground - u * (0.24 * (1 - near) * (0.45 + swell) + 0.06 * swell + 0.01)
        distance = 0.66 * (1 - near) ** 1.1 + 0.08
        green = mix(light.far, light.near, near * rng.uniform(0.6, 1))
        fields = noise(rng, canvas.width, canvas.height, (u * 0.4, u * 0.035), 4, gain=0.6) - 0.5
        top = light.at_distance(mix(green, light.sun, 0.16), distance)
        canvas.below(edge, top, light.at_distance(green * 0.72, distance), u * 0.16, fields * 0.5)
        if rng.random() < 0.75:
            where = smoothstep(0.5, 0.62, profile(rng, canvas.width, u * 0.3, 3))
            trees = treeline(rng, edge + 1, u * (0.012 + 0.03 * near), conifer=0.25)
            wooded = edge + 2 - (edge + 2 - trees) * where
            canvas.below(wooded, light.at_distance(light.tree, distance), top * 0.7, u * 0.05)
            canvas.below(
                edge + u * 0.012, top * 0.92, light.at_distance(green * 0.72, distance), u * 0.15, fields * 0.5
            )


def _islands(canvas: Canvas, scene: Scene, light: Light, ground: float) -> None:
    rng, u = scene.rng("islands"), canvas.unit
    for layer in range(int(rng.integers(1, 4))):
        where = smoothstep(0.42, 0.8, swells(rng, canvas.width, u * 0.6))
        height = where * (0.5 + 0.5 * profile(rng, canvas.width, u * 0.14, 5)) * u * 0.12
        edge = ground + 1 - height
        rock = light.at_distance(mix(light.tree, colour("4a5468"), 0.5), 0.72 - 0.2 * layer)
        canvas.below(edge, rock, mix(rock, light.haze, 0.4), u * 0.1)


def _dunes(canvas: Canvas, scene: Scene, light: Light, ground: float, sun_x: float) -> None:
    rng, u = scene.rng("dunes"), canvas.unit
    side = 1 if sun_x < canvas.width / 2 else -1
    layers = 5
    for layer in range(layers):
        near = layer / (layers - 1)
        base = ground + (canvas.height - ground) * near**1.3 * 0.72
        swell = swells(rng, canvas.width, u * (0.35 + 0.5 * near))
        crest = np.abs(2 * swells(rng, canvas.width, u * (0.6 + 0.5 * near)) - 1)
        edge = base - u * (0.05 + 0.17 * (1 - crest) * (0.6 + 0.5 * near) + 0.05 * swell) + u * 0.05
        facing = smoothstep(-0.25, 0.25, -np.gradient(edge) * side)
        distance = 0.6 * (1 - near) ** 1.2
        sand = light.at_distance(mix(light.far, light.near, near * 0.45), distance)
        ripples = noise(rng, canvas.width, canvas.height, (u * 0.3, u * 0.012 * (1 + 2 * near)), 3) - 0.5
        below = np.maximum(canvas.y - edge, 0)
        depth = np.clip(below / (u * 0.3), 0, 1)
        slant = canvas.x - side * (below * 0.9 + u * 0.12 * depth * depth)
        facing = facing[np.clip(slant, 0, canvas.width - 1).astype(int)]
        shade = (facing * 0.42 + 0.05) * (1 - depth) - (1 - facing) * 0.34 * (1 - depth) - depth * 0.12
        canvas.below(edge, sand, sand, u, shade + ripples * (0.1 + 0.16 * near) * (depth > 0))


def _forest(canvas: Canvas, scene: Scene, light: Light, ground: float) -> None:
    rng, u = scene.rng("forest"), canvas.unit
    alone = scene.lands == {"forest"}
    layers = 6 if alone else 3
    conifer = 0.97 if scene.season == "winter" else rng.uniform(0.6, 0.95)
    leaves = noise(rng, canvas.width, canvas.height, (u * 0.022, u * 0.022), 4, gain=0.6) - 0.5
    for layer in range(layers):
        near = layer / (layers - 1)
        swell = swells(rng, canvas.width, u * 0.6) - 0.5
        rise = ground - u * (0.1 * (1 - near) - 0.05 * near) + u * 0.1 * swell
        distance = 0.76 * (1 - near) ** 0.85 + 0.03
        tree = mix(light.tree, light.near, rng.uniform(0, 0.55))
        dark = light.at_distance(tree, distance)
        edge = treeline(rng, rise, u * (0.08 + (0.34 if alone else 0.18) * near**1.4), conifer=conifer)
        lit = mix(dark, light.at_distance(light.near, distance), 0.3)
        canvas.below(
            edge,
            lit,
            mix(dark * 0.8, light.haze, 0.28 * (1 - near)),
            u * (0.1 + 0.16 * near),
            leaves * (0.35 + 0.6 * near),
        )


def treeline(rng: np.random.Generator, rise: Floats, tall: float, *, conifer: float) -> Floats:
    """The upper edge of a row of trees that stand on the line `rise`; `conifer` of them are spruces."""
    width = rise.shape[0]
    edge = rise.copy()
    x = -tall * 0.3
    while x < width + tall:
        spruce = rng.random() < conifer
        height = tall * rng.uniform(0.45, 1.1) * (1 if spruce else 0.7)
        half = height * (rng.uniform(0.16, 0.23) if spruce else rng.uniform(0.24, 0.36))
        left, right = int(max(0, x - half - 1)), int(min(width, x + half + 2))
        if right > left:
            away = np.clip(np.abs(np.arange(left, right) - x) / max(half, 0.5), 0, 1)
            if spruce:
                crown = 1 - away + ((away * 5) % 1 - 0.6) * 0.2 * away
            else:
                crown = np.zeros(right - left)
                for lobe in rng.uniform(-0.62, 0.62, 6):
                    off = (np.arange(left, right) - x) / max(half, 0.5) - lobe
                    crown = np.maximum(
                        crown, 0.45 - 0.2 * lobe * lobe + 0.42 * np.sqrt(np.clip(0.16 - off * off, 0, 1)) * 2
                    )
                crown *= away < 1
            edge[left:right] = np.minimum(edge[left:right], rise[left:right] - height * np.clip(crown, 0, 1.05))
        x += half * rng.uniform(0.5, 1.15)
    return edge


def _city(canvas: Canvas, scene: Scene, light: Light, ground: float) -> None:
    rng, u = scene.rng("city"), canvas.unit
    glowing = scene.hour in {"night", "sunset", "dawn"}
    layers = 3
    for layer in range(layers):
        near = layer / (layers - 1)
        edge = _skyline(canvas, rng, ground, near)
        wall = light.at_distance(mix(colour("3a4358"), light.sky[0], 0.35), 0.66 * (1 - near) + 0.06)
        canvas.below(edge, wall, mix(wall, light.haze, 0.25), u * 0.4)
        if layer:
            _windows(canvas, rng, edge, ground, pitch=u * (0.006 + 0.004 * near), light=light, glowing=glowing)


def _skyline(canvas: Canvas, rng: np.random.Generator, ground: float, near: float) -> Floats:
    """The roofs of a row of buildings, tallest around a centre; some have a mast, some a narrower top."""
    u = canvas.unit
    edge = np.full(canvas.width, ground, np.float32)
    x = -rng.uniform(0, u * 0.05)
    centre = canvas.width * rng.uniform(0.3, 0.7)
    while x < canvas.width:
        wide = u * rng.uniform(0.022, 0.065) * (0.8 + 0.5 * near)
        downtown = np.exp(-(((x - centre) / (u * 0.55)) ** 2))
        tall = u * (0.05 + (0.34 - 0.16 * near) * rng.random() ** 1.7 * (0.45 + downtown))
        tall = min(tall, ground * 0.62)
        left, right = int(max(0, x)), int(min(canvas.width, x + wide))
        edge[left:right] = ground - tall
        shape = rng.random()
        if shape < 0.2 and right - left > 4:
            mast = (left + right) // 2
            edge[mast : mast + max(1, int(u * 0.002))] -= tall * 0.28
        elif shape < 0.45 and right - left > 6:
            inset = (right - left) // 4
            edge[left + inset : right - inset] -= tall * 0.12
        x += wide * rng.uniform(0.9, 1.25)
    return edge


def _windows(
    canvas: Canvas, rng: np.random.Generator, edge: Floats, ground: float, *, pitch: float, light: Light, glowing: bool
) -> None:
    """Panes on the walls under the roofs `edge`, some of them lit."""
    pitch = max(pitch, 2.2)  # in pixels: finer panes would be noise
    top, end = int(max(0, edge.min())), int(min(canvas.height, ground))
    if end - top < 2:
        return
    y = np.arange(top, end, dtype=np.float32)[:, None]
    column, row = (canvas.x / pitch).astype(int), (y[:, 0] / (pitch * 1.35)).astype(int)
    chance = rng.random((row.max() + 1, column.max() + 1), np.float32)[row][:, column]
    pane = ((canvas.x / pitch) % 1 < 0.56) & ((y / (pitch * 1.35)) % 1 < 0.55) & (y > edge + pitch)
    lit = pane * (chance < (0.42 if glowing else 0.8))
    lamp: Colour = colour("ffd98a") if glowing else mix(light.haze, colour("ffffff"), 0.3)
    warm = mix(lamp, colour("9fd8ff") if glowing else lamp, (chance * 2.3)[..., None])
    canvas.blend((lit * (0.85 if glowing else 0.22)), warm, top)
