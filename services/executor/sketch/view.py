"""GET /view: a file of the output or temp folder, and nothing else of this machine."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from services.executor.sketch.settings import Settings

_ANNOTATED = re.compile(r"(?P<name>.*?) ?\[(?P<type>output|temp)\]")


def view(settings: Settings, query: Mapping[str, str]) -> web.StreamResponse:
    """Answer as recording 22 does: 400 for a bad name or type, 403 for a folder outside, 404 for no file.

    The file is served with ETag, Last-Modified and ranges. The type may also stand in the name: `a.png [temp]`.
    """
    name, kind = query.get("filename", ""), query.get("type", "output")
    if not name:
        return web.Response(status=404)
    if annotated := _ANNOTATED.fullmatch(name):
        name, kind = annotated["name"], annotated["type"]
    directories = {"output": settings.output_directory, "temp": settings.temp_directory}
    if name.startswith("/") or ".." in name or kind not in directories:
        return web.Response(status=400)
    folder = Path(os.path.abspath(directories[kind] / query.get("subfolder", "")))  # noqa: PTH100 - keeps symlinks
    if not folder.is_relative_to(directories[kind]):
        return web.Response(status=403)
    file = folder / Path(name).name
    if not file.is_file():
        return web.Response(status=404)
    headers = {
        "Content-Disposition": f'filename="{file.name}"',
        "Content-Type": "image/png" if file.suffix == ".png" else "application/octet-stream",
        "X-Content-Type-Options": "nosniff",
    }
    return web.FileResponse(file, headers=headers)
