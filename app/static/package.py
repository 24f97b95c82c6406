"""The client's Python as the browser gets it: our modules, and the libraries that they import."""

import gzip
import io
import tarfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"

LIBRARIES = ("flet", "httpx", "httpx-sse", "idna", "msgpack", "repath", "segno", "six")
"""What is imported in a browser, all of it plain Python. httpx wants anyio, certifi and httpcore for sockets alone; of
msgpack there is a compiled form and this one.
"""

PLAIN = frozenset({".py", ".json"})
"""Modules, and the tables beside them."""

LICENCES = frozenset({"COPYING", "LICENSE", "LICENSE.md", "METADATA"})
"""What goes with them of the notes beside a library; Flet tells of its licence in the last one."""

LIBRARIES_FOLDER = "__pypackages__"
"""Where Flet's worker looks for modules."""


def package(server: str) -> bytes:
    """A .tar.gz, the same bytes for the same files. `server` is the gateway's URL, or nothing (see server.py)."""
    files = dict(_modules())
    files["server.py"] = f"URL = {server!r}\n".encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            archive.addfile(entry, io.BytesIO(files[name]))
    return gzip.compress(packed.getvalue(), mtime=0)


def _modules() -> Iterator[tuple[str, bytes]]:
    for path in SOURCE.rglob("*.py"):
        yield path.relative_to(SOURCE).as_posix(), path.read_bytes()
    for library in LIBRARIES:
        for file in distribution(library).files or ():
            if file.name in LICENCES if ".dist-info" in file.parts[0] else file.suffix in PLAIN:
                yield f"{LIBRARIES_FOLDER}/{file.as_posix()}", Path(str(file.locate())).read_bytes()
