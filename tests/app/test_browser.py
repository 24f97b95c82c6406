"""The client's calls where it runs in a browser: Pyodide's Python and the fetch of Node.js, against a real server."""

import asyncio
import gzip
import json
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@dataclass
class Exchange:
    """A request, and the connection to answer it on."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def of(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> "Exchange":
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return cls(method, target, headers, body, reader, writer)

    @property
    def names(self) -> list[str]:
        """Of the path."""
        return self.target.partition("?")[0].strip("/").split("/")

    def send(self, content: bytes, *, length: int | None = None, head: str = "200 OK", more: str = "") -> None:
        """`length` is what is told of the content; what follows is for the caller to write, or not."""
        told = f"Content-Length: {len(content) if length is None else length}\r\n"
        self.writer.write(f"HTTP/1.1 {head}\r\nConnection: close\r\n{told}{more}\r\n".encode() + content)


class Server:
    """HTTP/1.1 by hand, since it is to misbehave; a method for each path."""

    def __init__(self) -> None:
        self._begun: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._left: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._has_first = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await Exchange.of(reader, writer)
        await getattr(self, asked.names[0])(asked)
        writer.close()

    async def echo(self, asked: Exchange) -> None:
        told = ("authorization", "content-type", "idempotency-key")
        headers = {name: asked.headers.get(name) for name in told}
        asked.send(json.dumps([asked.method, asked.target, headers, asked.body.decode()]).encode())

    async def packed(self, asked: Exchange) -> None:
        asked.send(gzip.compress(b"unpacked"), more="Content-Encoding: gzip\r\n")

    async def nothing(self, asked: Exchange) -> None:
        asked.writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    async def pieces(self, asked: Exchange) -> None:
        """The second is sent when somebody has said that the first is there."""
        asked.send(b"first", length=len(b"firstsecond"))
        await asked.writer.drain()
        await self._has_first.wait()
        asked.writer.write(b"second")

    async def first(self, asked: Exchange) -> None:
        self._has_first.set()
        asked.send(b"")

    async def broken(self, asked: Exchange) -> None:
        asked.send(b"half", length=8)

    async def half(self, asked: Exchange) -> None:
        asked.send(b"half", length=8)
        await self.silent(asked)

    async def silent(self, asked: Exchange) -> None:
        """`/silent/NAME`; /begun/NAME and /left/NAME tell of it."""
        self._begun[asked.names[1]].set()
        await asked.reader.read()
        self._left[asked.names[1]].set()

    async def begun(self, asked: Exchange) -> None:
        await self._begun[asked.names[1]].wait()
        asked.send(b"begun")

    async def left(self, asked: Exchange) -> None:
        await self._left[asked.names[1]].wait()
        asked.send(b"left")


@contextmanager
def served() -> Iterator[str]:
    """In a thread of its own; gives its URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    async def close() -> None:
        server.close()
        await server.wait_closed()

    server = run(asyncio.start_server(Server().answer, "127.0.0.1", 0))
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        run(close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def outcome(static_build):
    """Name of a function of calls_by_fetch.py → what it returned, or the name of httpx's error."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("NOT RUN: there is no Node.js here")
    with served() as url:
        command = [node, HERE / "pyodide.mjs", static_build.folder, HERE / "calls_by_fetch.py", url]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout.splitlines()[-1])


def test_the_client_finds_all_its_modules_in_the_browser(outcome):
    assert outcome["begins"] == "main"


def test_a_request_arrives_whole(outcome):
    headers = {"authorization": "Bearer token", "content-type": "application/json", "idempotency-key": "key"}
    assert outcome["sends_all"] == ["POST", "/echo?limit=2", headers, '{"prompt":"灯塔"}']


def test_an_answer_is_unpacked_once(outcome):
    assert outcome["unpacks"] == "unpacked"


def test_an_answer_may_have_no_body(outcome):
    assert outcome["has_no_body"] == [204, ""]


def test_a_stream_comes_piece_by_piece(outcome):
    assert outcome["streams"] == ["first", "second"]


def test_a_server_that_is_away_is_httpx_own_error(outcome):
    assert outcome["is_refused"] == "ConnectError"


def test_a_silent_server_is_given_up_and_told_so(outcome):
    assert outcome["waits_in_vain"] == "ReadTimeout"
    assert outcome["was_given_up_in_vain"] == "left"


def test_a_stream_that_falls_silent_is_given_up(outcome):
    assert outcome["falls_silent"] == "ReadTimeout"


def test_a_stream_that_breaks_is_no_end(outcome):
    assert outcome["breaks"] == "ReadError"


def test_a_stream_that_is_left_ends_the_connection(outcome):
    assert outcome["leaves"] == "left"


def test_a_call_that_is_canceled_ends_the_connection(outcome):
    assert outcome["is_canceled"] == [True, "left"]
