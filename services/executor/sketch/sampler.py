"""The sampler: paints the picture that the conditioning describes, and shows it growing step by step."""

import time
from dataclasses import dataclass, field

import numpy as np

from services.executor.sketch.painting.picture import Pixels, paint, shown, unfinished
from services.executor.sketch.painting.scene import imagine
from services.executor.sketch.stage import Interrupted, Stage

_NEUTRAL_GUIDANCE = 7.0
_STEP_PIXELS = 512 * 512


@dataclass(frozen=True)
class Model:
    """A loaded model: its file, and the LoRAs on it, give the picture a tint."""

    name: str


@dataclass(frozen=True)
class Conditioning:
    text: str


@dataclass(frozen=True)
class Latent:
    width: int
    height: int
    batch_size: int
    pictures: tuple[Pixels, ...] = field(default=(), repr=False)
    """Empty until sampled."""


@dataclass(frozen=True)
class Guider:
    model: Model
    positive: Conditioning
    negative: Conditioning
    cfg: float


def sample(stage: Stage, guider: Guider, latent: Latent, seed: int, steps: int) -> Latent:
    """Paint the batch in `steps` steps, each as long as the settings say.

    Raises:
        Interrupted: The run was interrupted.
    """
    begin = time.monotonic()
    pace = stage.settings.step_seconds * (latent.width * latent.height * latent.batch_size / _STEP_PIXELS) ** 0.5
    pictures = []
    for index in range(latent.batch_size):
        if stage.interrupt.is_set():
            raise Interrupted
        scene = imagine(
            guider.positive.text,
            guider.negative.text,
            seed=seed,
            index=index,
            # A scale of 1 means that the model is guided by no scale at all.
            guidance=guider.cfg if guider.cfg > 1 else _NEUTRAL_GUIDANCE,
            model=guider.model.name,
        )
        pictures.append(paint(scene, latent.width, latent.height))
    preview, noise = shown(pictures[0]), np.random.default_rng(seed)
    for step in range(1, steps + 1):
        stage.wait(begin + step * pace)
        if step == (steps + 1) // 2:
            stage.faults.strike()
        stage.report(step, steps, unfinished(preview, step / steps, noise) if stage.previews else None)
    return Latent(latent.width, latent.height, latent.batch_size, tuple(pictures))
