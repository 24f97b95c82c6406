"""GET /view: a file of the output, temp or input folder, and nothing else of this machine."""

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web
from PIL import Image

from services.executor.sketch.settings import Settings

_ANNOTATED = re.compile(r"(?P<name>.*?) ?\[(?P<type>output|temp|input)\]")


def view(settings: Settings, query: Mapping[str, str]) -> web.StreamResponse:
    """Answer as recording 22 does: 400 for a bad name or type, 403 for a folder outside, 404 for no file.

    The file is served with ETag, Last-Modified and ranges. The type may also stand in the name: `a.png [temp]`.
    """
    name, kind = query.get("filename", ""), query.get("type", "output")
    if not name:
        return web.Response(status=404)
    if annotated := _ANNOTATED.fullmatch(name):
        name, kind = annotated["name"], annotated["type"]
    directories = settings.directories
    if name.startswith("/") or ".." in name or kind not in directories:
        return web.Response(status=400)
    folder = Path(os.path.abspath(directories[kind] / query.get("subfolder", "")))  # noqa: PTH100 - keeps symlinks
    if not folder.is_relative_to(directories[kind]):
        return web.Response(status=403)
    file = folder / Path(name).name
    if not file.is_file():
        return web.Response(status=404)
    if again := _encoded_again(file, query):
        return again
    headers = {
        "Content-Disposition": f'filename="{file.name}"',
        "Content-Type": "image/png" if file.suffix == ".png" else "application/octet-stream",
        "X-Content-Type-Options": "nosniff",
    }
    return web.FileResponse(file, headers=headers)


def _encoded_again(file: Path, query: Mapping[str, str]) -> web.Response | None:
    """The picture as a preview or without some of its channels, and without its graph; None if it is wanted as it is.

    A preview is WebP unless it asks for JPEG, and heeds no channel.
    """
    channel = query.get("channel", "rgba")
    if "preview" not in query and channel not in ("rgb", "a"):
        return None
    kind, _, quality = query.get("preview", "png").partition(";")
    with Image.open(file) as image:
        options: dict[str, Any] = {}
        if "preview" in query:
            kind = kind if kind == "jpeg" else "webp"
            options = {"quality": int(quality) if quality.isdecimal() else 90}
            again = image.convert("RGB")
        elif channel == "rgb":
            again = image.convert("RGB")
        else:
            again = Image.new("RGBA", image.size)
            again.putalpha(image.convert("RGBA").getchannel("A"))
    again.info.clear()
    buffer = io.BytesIO()
    again.save(buffer, kind, **options)
    headers = {"Content-Disposition": f'filename="{file.name}"'}
    return web.Response(body=buffer.getvalue(), content_type=f"image/{kind}", headers=headers)
