"""Pictures on disk: ComfyUI's file names, its counter rule and its PNG text chunks."""

import io
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from services.executor.sketch.painting.picture import Pixels


def save_images(
    images: Sequence[Pixels], directory: Path, prefix: str, text: Mapping[str, Any], compress_level: int
) -> list[dict[str, str]]:
    """Write `<prefix>_<counter:05>_.png` files and return them as the protocol names them.

    The counter continues from the highest in the folder, so deleted names are used again
    (docs/comfyui-protocol.md §7.3).

    Args:
        images: At least one picture.
        directory: The output or the temp directory; its name is the `type` on the wire.
        prefix: May name sub-folders and hold placeholders such as `%width%`.
        text: Values that go into the PNG as JSON, by the keyword of their tEXt chunk.
        compress_level: zlib's.

    Raises:
        ValueError: The prefix leads outside the directory.
    """
    prefix = os.path.normpath(_expand(prefix, images[0]))
    subfolder, name = os.path.split(prefix)
    folder = Path(os.path.abspath(directory / subfolder))  # noqa: PTH100 - resolves "..", keeps symlinks
    if not folder.is_relative_to(directory):
        raise ValueError(f"**** ERROR: Saving image outside the output folder is not allowed.\n filename: {name}")
    folder.mkdir(parents=True, exist_ok=True)
    info = PngInfo()
    for keyword, value in text.items():
        info.add_text(keyword, json.dumps(value))
    counter = _last_counter(folder, name) + 1
    saved = []
    for number, picture in enumerate(images):
        file = f"{name.replace('%batch_num%', str(number))}_{counter + number:05}_.png"
        Image.fromarray(picture).save(folder / file, pnginfo=info, compress_level=compress_level)
        saved.append({"filename": file, "subfolder": subfolder, "type": directory.name})
    return saved


def encoded(picture: Pixels) -> bytes:
    """A PNG without text chunks."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _last_counter(folder: Path, name: str) -> int:
    pattern = re.compile(re.escape(name) + r"_(\d+)_", re.IGNORECASE)
    return max((int(m[1]) for file in os.listdir(folder) if (m := pattern.match(file))), default=0)  # noqa: PTH208


def _expand(prefix: str, image: Pixels) -> str:
    height, width = image.shape[:2]
    now = time.localtime()
    values = {
        "width": width,
        "height": height,
        "year": now.tm_year,
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    return re.sub(r"%(\w+)%", lambda m: str(values.get(m[1], m[0])), prefix)
