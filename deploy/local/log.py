"""One log of many processes: each line behind the name of its process."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO

_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)  # ANSI: cyan, green, yellow, magenta, blue, and again bright


class Log:
    """Writes to one stream, in colour if it is a terminal."""

    def __init__(self, names: Sequence[str], stream: BinaryIO) -> None:
        self._stream = stream
        width = max(map(len, names))
        self._prefixes = {name: f"{name:{width}} | ".encode() for name in names}
        if stream.isatty():
            for number, (name, prefix) in enumerate(self._prefixes.items()):
                colour = _COLOURS[number % len(_COLOURS)]
                self._prefixes[name] = b"\x1b[%dm%b\x1b[0m" % (colour, prefix)

    def write(self, name: str, text: str) -> None:
        for line in text.splitlines():
            self._write(name, line.encode())

    async def copy(self, name: str, output: asyncio.StreamReader) -> None:
        """Writes what a process says, line by line, until it has closed its output."""
        rest = b""
        while chunk := await output.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._write(name, line)
        if rest:
            self._write(name, rest)

    def _write(self, name: str, line: bytes) -> None:
        # In `make run | tee log`, Ctrl-C ends tee first; the launcher must still stop everything in order.
        with suppress(BrokenPipeError):
            self._stream.write(self._prefixes[name] + line + b"\n")
            self._stream.flush()
