"""Palettes: the colours of each hour of the day, of the ground in each season, and how light changes them."""

from dataclasses import dataclass

from services.executor.sketch.painting.canvas import Colour, colour, mix
from services.executor.sketch.painting.scene import Scene

_SKIES = {  # hour: variants, each as top, upper, lower, horizon, sun or moon
    "dawn": [
        "34457a 7d83b5 eaa9a6 ffdcb2 fff0cf",
        "3f5b86 88a6c4 f0c5b4 ffe6c6 fff4da",
        "4b3d78 a06f9e f2a08f ffd29b ffe9c0",
    ],
    "day": [
        "2467ac 5e9fd8 a9d2ee e6f2f5 fffbe8",
        "2f7fa8 6db6cf b9dfe0 f1f4e4 fffbe8",
        "3a62a8 86a7dc c9d6f0 f4efe8 fff8e6",
    ],
    "golden": [
        "55789f 9fb0ae efcf97 ffe7b0 fff3cc",
        "4f6d8f b1a9a0 f4bf82 ffdc9a fff0c4",
        "6a7d86 b9bda0 ecd590 fff0bd fff7d6",
    ],
    "sunset": [
        "262a5e 7b3f78 ea6a50 ffbf69 ffe2a0",
        "1f3358 5c5b86 d9807a ffcb8c ffe7b4",
        "3a2350 a03f66 f4784a ffd071 ffeaa8",
    ],
    "night": [
        "050a1e 0d1b40 1f3a68 41628a f2f0dc",
        "0a0820 1c1747 3a3070 6b5a94 f0eadb",
        "03131f 082a3c 14505c 3f8480 eef4e2",
    ],
}
_STORM = "232b36 434e5a 717d86 a7afae c9ccc6"
_GROUND = {  # season: far slope, near slope, tree
    "spring": "7fa36a 4f8a3f 2e5a34",
    "summer": "6f9457 3f7436 1f4a2c",
    "autumn": "a98752 a3642c 7c3a1c",
    "winter": "c9d6e6 e6eef6 2c4450",
}
_SAND = "e3b778 c9894b 7a5a36"
_AMBIENT = {  # hour: colour of the light that falls on the ground
    "dawn": "c9a9b4",
    "day": "ffffff",
    "golden": "f2d2a0",
    "sunset": "b07a74",
    "night": "3d4f7c",
}


@dataclass(frozen=True)
class Light:
    """The colours that one scene is painted with."""

    sky: tuple[Colour, Colour, Colour, Colour]
    sun: Colour
    far: Colour
    near: Colour
    tree: Colour
    ambient: Colour

    @property
    def haze(self) -> Colour:
        """What distance fades to."""
        return mix(self.sky[3], self.sky[2], 0.45)

    def lit(self, ground: Colour) -> Colour:
        return ground * self.ambient

    def at_distance(self, ground: Colour, share: float) -> Colour:
        """A ground colour seen through the air: 0 is at one's feet, 1 is lost in the haze."""
        return mix(self.lit(ground), self.haze, share)


def light_of(scene: Scene) -> Light:
    skies = _SKIES[scene.hour]
    *sky, sun = _colours(skies[scene.palette % len(skies)])
    gloom = 0.75 if "storm" in scene.details else 0.45 if scene.details & {"rain", "fog"} else 0.0
    if scene.hour == "night":
        gloom *= 0.35
    sky = [mix(c, s, gloom) for c, s in zip(sky, _colours(_STORM)[:4], strict=True)]
    far, near, tree = _colours(_SAND if "desert" in scene.lands else _GROUND[scene.season])
    ambient = colour(_AMBIENT[scene.hour])
    return Light((sky[0], sky[1], sky[2], sky[3]), sun, far, near, tree, mix(ambient, ambient * 0.7, gloom))


def _colours(codes: str) -> list[Colour]:
    return [colour(code) for code in codes.split()]
