"""What browsers load, laid ready in a folder: Flutter's files from the flet-web wheel, freed of foreign hosts and of
what this client does not use, with our own fonts and first page; each beside its compressed forms. `app.static` adds
Python to them.

The folder is named after everything that went into it, and so are the URLs: `/app/<version>/…` never changes.
"""

import gzip
import json
import mimetypes
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template

import brotli
import flet_web
from flet_web.version import version as flet_version

from texts import WORDS

HERE = Path(__file__).parent
ASSETS = HERE.parent / "src" / "assets"
PREFIX = "/app"

SAVING_PAGE = "save.html"
"""Where browsers save files by themselves, with the files that it loads (SAVING): the web process alone has it."""

SAVING = (SAVING_PAGE, "save.css", "save.js")

FLUTTER = (
    "flutter_bootstrap.js",
    "main.dart.js",
    "main.dart.mjs",
    "main.dart.wasm",
    "canvaskit/canvaskit.js",
    "canvaskit/canvaskit.wasm",
    "canvaskit/chromium/canvaskit.js",
    "canvaskit/chromium/canvaskit.wasm",
    "canvaskit/skwasm.js",
    "canvaskit/skwasm.wasm",
    "canvaskit/skwasm_heavy.js",
    "canvaskit/skwasm_heavy.wasm",
    "assets/AssetManifest.bin",
    "assets/AssetManifest.bin.json",
    "assets/NOTICES",
    "assets/fonts/MaterialIcons-Regular.otf",
    "assets/fonts/roboto.woff2",
    "assets/packages/wakelock_plus/assets/no_sleep.js",
    "assets/shaders/ink_sparkle.frag",
    "assets/shaders/stretch_effect.frag",
)
"""Of the wheel: the engine for browsers with and without WasmGC. Pyodide, KaTeX and video players stay behind."""

FONTS = [
    {"family": "MaterialIcons", "fonts": [{"asset": "fonts/MaterialIcons-Regular.otf"}]},
    {"family": "Roboto", "fonts": [{"asset": "fonts/roboto.woff2"}]},
]
"""The engine loads every font of its manifest before it shows anything."""

FOREIGN = b"https://cdn.jsdelivr.net/npm/"
"""Where the client looks for Rive's engine, which we do not use, even if it is told to ask no foreign host."""

NOWHERE = b"./app/none/no-foreign-engine/"
"""Of the same length, since the WebAssembly module counts its bytes; relative to the first page."""

FALLBACKS = re.compile(rb'"(\w+/v\d+/[\w-]+(?:\.\d+)?\.woff2)"')
"""The engine's list of fonts for characters that no other has, by Google's file names."""

SLICE = re.compile(r"notosanssc/v\d+/[\w-]+\.(\d+)\.woff2")
"""A part of Noto Sans SC; its number is Google's, and so are those of ours."""

COMPRESSED = frozenset({".css", ".frag", ".html", ".js", ".json", ".mjs", ".otf", ".svg", ".wasm", ""})
BROTLI_QUALITY = 5  # 2.50 MB in 0.9 s for the largest file; 9 makes it 2.44 MB in 3.4 s

mimetypes.add_type("text/javascript", ".mjs")
mimetypes.add_type("application/wasm", ".wasm")
mimetypes.add_type("font/woff2", ".woff2")
mimetypes.add_type("font/otf", ".otf")
mimetypes.add_type("image/webp", ".webp")


@dataclass(frozen=True)
class Site:
    """A folder that is complete but for compressed forms, which may come later.

    Attributes:
        files: name as in the URL → media type.
        index: the first page.
    """

    folder: Path
    version: str
    files: Mapping[str, str]
    index: bytes

    @property
    def path(self) -> str:
        """Where its files are, as in the URL."""
        return f"{PREFIX}/{self.version}"


def lay_ready(parent: Path) -> Site:
    """Makes the folder in `parent` unless it is there, and removes those of other versions."""
    assert len(FOREIGN) == len(NOWHERE)
    version = _version()
    folder = parent / version
    if not folder.exists():
        unfinished = parent / f"{version}.part"
        shutil.rmtree(unfinished, ignore_errors=True)
        for name, content in contents():
            path = unfinished / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        unfinished.rename(folder)
        for other in parent.iterdir():
            if other != folder:
                shutil.rmtree(other)
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    files = {name: media_type(name) for name in names if not name.endswith((".br", ".gz", ".tmp"))}
    return Site(folder, version, files, first_page(f"{PREFIX}/{version}", ["connection.js"], _lost()))


def contents() -> Iterator[tuple[str, bytes]]:
    """Every file by its name, but for the first page and compressed forms."""
    wheel = Path(flet_web.get_package_web_dir())
    for name in FLUTTER:
        content = (wheel / name).read_bytes()
        if name == "flutter_bootstrap.js":
            content = _loader(content)
        yield name, content.replace(FOREIGN, NOWHERE)
    yield "assets/FontManifest.json", json.dumps(FONTS).encode()
    for path in sorted((HERE / "static").iterdir()):
        if path.name != "index.html":
            yield path.name, path.read_bytes()
    for name in sorted(FALLBACKS.findall((wheel / "main.dart.js").read_bytes())):
        yield f"fallback/{name.decode()}", _fallback(name.decode()).read_bytes()
    for path in sorted(ASSETS.rglob("*")):
        if path.is_file():
            yield f"assets/{path.relative_to(ASSETS).as_posix()}", path.read_bytes()


def first_page(base: str, scripts: Sequence[str] = (), more: str = "") -> bytes:
    """`base` is where the files are; `scripts` are names of files that are to run before the client starts; `more` is
    HTML for them.
    """
    lines = "".join(f'<script src="{base}/{name}"></script>\n    ' for name in scripts)
    page = Template((HERE / "static" / "index.html").read_text())
    return page.substitute(base=base, scripts=lines, more=more).encode()


def _lost() -> str:
    """Where connection.js tells that the connection is lost, and in which words."""
    words = "".join(f' data-{language}="{escape(say.reconnecting)}"' for language, say in sorted(WORDS.items()))
    return f'<div id="lost" role="status"{words}></div>\n    '


def _fallback(name: str) -> Path:
    """Of other fonts we have none. The engine asks again and again for one that it does not get, so it gets an empty
    one.
    """
    part = SLICE.fullmatch(name)
    return HERE / "fallback" / f"noto-sans-sc.{part[1]}.woff2" if part else HERE / "static" / "blank.woff2"


def compress(site: Site) -> None:
    """Puts compressed forms beside the files that lack them; about 10 s of one core for all."""
    for name in site.files:
        path = site.folder / name
        if path.suffix not in COMPRESSED:
            continue
        for suffix, form in ((".br", _brotli), (".gz", _gzip)):
            target = path.with_name(path.name + suffix)
            if not target.exists():
                unfinished = target.with_name(target.name + ".tmp")
                unfinished.write_bytes(form(path.read_bytes()))
                unfinished.rename(target)


def _brotli(content: bytes) -> bytes:
    return bytes(brotli.compress(content, quality=BROTLI_QUALITY))


def _gzip(content: bytes) -> bytes:
    """For plain HTTP: there browsers do not take brotli."""
    return gzip.compress(content, 6, mtime=0)


def media_type(name: str) -> str:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _version() -> str:
    digest = sha256(flet_version.encode())
    for path in (Path(__file__), *_own_files()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _own_files() -> Iterator[Path]:
    for folder in (HERE / "static", HERE / "fallback", ASSETS):
        yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _loader(bootstrap: bytes) -> bytes:
    """Flutter's loader and the list of its builds, without Flet's way of starting them: static/start.js has ours."""
    return bootstrap[: bootstrap.index(b"window.addEventListener('flutter-first-frame'")]
