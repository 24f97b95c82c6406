"""POST /upload/image: a file into the input, temp or output folder (docs/comfyui-protocol.md §4, recording 22)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from services.executor.sketch.settings import Settings


def upload(settings: Settings, form: Mapping[str, Any]) -> web.Response:
    """Any kind of file is taken. The same bytes under the same name are kept once, others get a number.

    Raises:
        KeyError: unknown type, which HTTP answers with 500 as ComfyUI does.
    """
    image = form.get("image")
    if not isinstance(image, web.FileField) or not image.filename:
        return web.Response(status=400)
    kind, subfolder = form.get("type", "input"), os.path.normpath(form.get("subfolder", ""))
    directory = settings.directories[kind]
    file = Path(os.path.abspath(directory / subfolder / image.filename))  # noqa: PTH100 - keeps symlinks
    if not file.is_relative_to(directory):
        return web.Response(status=400)
    data = image.file.read()
    if form.get("overwrite") not in ("true", "1"):
        file = _free(file, data)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return web.json_response({"name": file.name, "subfolder": form.get("subfolder", ""), "type": kind})


def _free(file: Path, data: bytes) -> Path:
    """The first of `name`, `name (1)`, … that does not exist or holds the same bytes."""
    stem, number = file.stem, 0
    while file.exists() and file.read_bytes() != data:
        number += 1
        file = file.with_stem(f"{stem} ({number})")
    return file
