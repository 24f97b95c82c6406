"""The folder: the first page, the headers that its server must send, and `app/<version>/…`, which never changes."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import flet_web

from app.static.package import package
from app.web.files import NOWHERE, PREFIX, SAVING, Site, compress, contents, first_page, media_type
from app.web.site import FOR_EVER, HEADERS, NONE

WORKER = ("python.js", "python-worker.js")
"""Flet's: start Python in a worker and carry its messages."""

PYODIDE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "package.json")
"""The last one tells of its licence."""

ENGINE = "wasm/rive_native.js"
"""What the client asks for first of the engine that we do not use; none.js keeps it waiting."""

LOCK = "pyodide-lock.json"
"""Names what Pyodide may load from a foreign host. Ours names nothing."""

OURS = frozenset({"_headers", "app", "index.html"})


class StrangersFiles(Exception):
    """The folder holds what no build has put there."""


def build(out: Path, server: str = "") -> Site:
    """Lays the build into the folder `out`, where it takes the place of an earlier one when it is complete.

    `server` is the gateway's URL; nothing means the origin that serves the folder.

    Raises:
        StrangersFiles: nothing has been changed.
    """
    strangers = sorted(path.name for path in out.iterdir() if path.name not in OURS) if out.exists() else []
    if strangers:
        raise StrangersFiles(f"{out} holds {', '.join(strangers)}, which no build has put there")
    files = {name: content for name, content in contents() if name not in SAVING} | dict(_python(server))
    version = _digest(files)
    base = f"{PREFIX[1:]}/{version}"
    for name, content in files.items():
        _write(out / base / name, content)
    for name, content in _instead_of_foreign(files):
        _write(out / name, content)
    site = Site(out / base, version, {name: media_type(name) for name in files}, first_page(base, ["python.js"]))
    compress(site)
    _write(out / "_headers", _headers(server).encode())
    _write(out / "index.html", site.index)
    for other in site.folder.parent.iterdir():
        if other.name not in (version, NONE):
            shutil.rmtree(other)
    return site


def _digest(files: Mapping[str, bytes]) -> str:
    digest = sha256()
    for name in sorted(files):
        digest.update(f"{name} {len(files[name])}\n".encode())
        digest.update(files[name])
    return digest.hexdigest()[:12]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _python(server: str) -> Iterator[tuple[str, bytes]]:
    wheel = Path(flet_web.get_package_web_dir())
    for name in WORKER:
        yield name, (wheel / name).read_bytes()
    for name in PYODIDE:
        yield f"pyodide/{name}", (wheel / "pyodide" / name).read_bytes()
    lock = json.loads((wheel / "pyodide" / LOCK).read_bytes())
    yield f"pyodide/{LOCK}", json.dumps({**lock, "packages": {}}).encode()
    yield "app.tar.gz", package(server)


def _instead_of_foreign(files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for place in re.findall(re.escape(NOWHERE) + rb'[^"]+', files["main.dart.js"]):
        yield f"{place.decode().removeprefix('./')}{ENGINE}", files["none.js"]


def _headers(server: str) -> str:
    """In the form that Netlify and Cloudflare Pages read."""
    policy = HEADERS["Content-Security-Policy"]
    if server:
        for directive in ("connect-src", "img-src"):
            policy = policy.replace(f"{directive} 'self'", f"{directive} 'self' {server}")
    everywhere = {**HEADERS, "Content-Security-Policy": policy}
    rules = {
        "/*": everywhere,
        "/": {"Cache-Control": "no-cache"},
        "/index.html": {"Cache-Control": "no-cache"},
        f"{PREFIX}/*": {"Cache-Control": FOR_EVER},
    }
    lines = [
        f"{path}\n" + "".join(f"  {name}: {value}\n" for name, value in rule.items()) for path, rule in rules.items()
    ]
    return "\n".join(lines)
