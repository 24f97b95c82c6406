"""What the nodes do. Each takes the stage and its inputs by name, and returns one value per output.

An output node returns its UI besides, last. The values of the types CLIP and VAE are file names: nothing here
ever opens one.
"""

import random
import string
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from services.executor.sketch.painting.picture import Pixels
from services.executor.sketch.sampler import Conditioning, Guider, Latent, Model, sample
from services.executor.sketch.saving import encoded, save_images
from services.executor.sketch.stage import Stage, fail

Images = tuple[Pixels, ...]
Ui = dict[str, list[dict[str, str]]]

_TEXT_INPUTS = ("text", "text_g", "text_l", "clip_l", "clip_g", "t5xxl")
_PREVIEW_PREFIX = "ComfyUI_temp_" + "".join(random.choices(string.ascii_lowercase, k=5))  # noqa: S311 - a file name


def passing(name: str) -> Callable[..., tuple[Any]]:
    """The action of a node whose output is one of its inputs."""

    def action(_stage: Stage, **inputs: Any) -> tuple[Any]:
        return (inputs[name],)

    return action


def load_checkpoint(stage: Stage, ckpt_name: str) -> tuple[Model, str, str]:
    time.sleep(stage.settings.load_seconds)  # loading is deaf to interrupts, as in ComfyUI
    return Model(ckpt_name), ckpt_name, ckpt_name


def load_diffusion_model(stage: Stage, unet_name: str, weight_dtype: str) -> tuple[Model]:
    time.sleep(stage.settings.load_seconds)
    return (Model(f"{unet_name} {weight_dtype}"),)


def load_file(_stage: Stage, **names: str) -> tuple[str]:
    return (" ".join(names.values()),)


def apply_lora(
    _stage: Stage, *, model: Model, clip: str, lora_name: str, strength_model: float, strength_clip: float
) -> tuple[Model, str]:
    return Model(f"{model.name} {lora_name} {strength_model}"), f"{clip} {lora_name} {strength_clip}"


def apply_lora_to_model(_stage: Stage, model: Model, lora_name: str, strength_model: float) -> tuple[Model]:
    return (Model(f"{model.name} {lora_name} {strength_model}"),)


def encode(_stage: Stage, **inputs: Any) -> tuple[Conditioning]:
    """Texts for several encoders usually repeat each other, so each counts once."""
    texts = (inputs[name].strip() for name in _TEXT_INPUTS if name in inputs)
    return (Conditioning(" ".join(dict.fromkeys(texts))),)


def zero_out(_stage: Stage, conditioning: Conditioning) -> tuple[Conditioning]:  # noqa: ARG001 - an input by name
    return (Conditioning(""),)


def empty_latent(_stage: Stage, width: int, height: int, batch_size: int) -> tuple[Latent]:
    return (Latent(width, height, batch_size),)


def basic_guider(_stage: Stage, model: Model, conditioning: Conditioning) -> tuple[Guider]:
    return (Guider(model, conditioning, Conditioning(""), cfg=1.0),)


def cfg_guider(
    _stage: Stage, model: Model, positive: Conditioning, negative: Conditioning, cfg: float
) -> tuple[Guider]:
    return (Guider(model, positive, negative, cfg),)


def ksampler(
    stage: Stage,
    *,
    model: Model,
    seed: int,
    steps: int,
    cfg: float,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    **_settings: Any,
) -> tuple[Latent]:
    return (sample(stage, Guider(model, positive, negative, cfg), latent_image, seed, steps),)


def sampler_custom(
    stage: Stage,
    *,
    model: Model,
    noise_seed: int,
    cfg: float,
    positive: Conditioning,
    negative: Conditioning,
    sigmas: int,
    latent_image: Latent,
    **_settings: Any,
) -> tuple[Latent, Latent]:
    latent = sample(stage, Guider(model, positive, negative, cfg), latent_image, noise_seed, sigmas)
    return latent, latent


def sampler_custom_advanced(
    stage: Stage, noise: int, guider: Guider, sigmas: int, latent_image: Latent, **_settings: Any
) -> tuple[Latent, Latent]:
    latent = sample(stage, guider, latent_image, noise, sigmas)
    return latent, latent


def decode(_stage: Stage, samples: Latent, **_vae: Any) -> tuple[Images]:
    return (samples.pictures or _plain(samples.width, samples.height, samples.batch_size, 0x7F7F7F),)


def empty_image(_stage: Stage, width: int, height: int, batch_size: int, color: int) -> tuple[Images]:
    return (_plain(width, height, batch_size, color),)


def invert(_stage: Stage, image: Images) -> tuple[Images]:
    return (tuple(255 - picture for picture in image),)


def save_image(stage: Stage, images: Images, filename_prefix: str) -> tuple[Images, Ui]:
    directory = stage.settings.output_directory
    return images, _saved(stage, images, directory, filename_prefix, compress_level=4)


def preview_image(stage: Stage, images: Images) -> tuple[Images, Ui]:
    return images, _saved(stage, images, stage.settings.temp_directory, _PREVIEW_PREFIX, compress_level=1)


def send_images(stage: Stage, images: Images) -> tuple[None]:
    """Send each picture as a preview, and save none."""
    for number, picture in enumerate(images):
        stage.report(number, len(images), encoded(picture))
    return (None,)


def sketch_text(stage: Stage, image: Images, **_nonce: int) -> tuple[Images]:
    stage.say("sketch: half way")
    return (image,)


def sketch_fail(stage: Stage, image: Images, nonce: int, kind: str, times: int = 0) -> tuple[Images]:
    """Fail the first `times` runs with this nonce, or every one if `times` is 0."""
    if times == 0 or stage.faults.count(nonce) <= times:
        fail(kind)
    return (image,)


def sketch_sleep(stage: Stage, image: Images, seconds: float, steps: int, mode: str, **_nonce: int) -> tuple[Images]:
    """Take that long, in steps that can be interrupted, or blocking and deaf."""
    if mode == "block":
        time.sleep(seconds)
        return (image,)
    begin = time.monotonic()
    for step in range(1, steps + 1):
        stage.wait(begin + seconds * step / steps)
        stage.report(step, steps, None)
    return (image,)


def _plain(width: int, height: int, batch_size: int, color: int) -> Images:
    picture = np.full((height, width, 3), [color >> 16, color >> 8 & 0xFF, color & 0xFF], np.uint8)
    return (picture,) * batch_size


def _saved(stage: Stage, images: Images, directory: Path, prefix: str, *, compress_level: int) -> Ui:
    text = {"prompt": stage.graph, **stage.extra_data.get("extra_pnginfo", {})}
    return {"images": save_images(images, directory, prefix, text, compress_level)}
