"""The web process and its gateways: real sockets, of which some answer."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from app.web.gateways import Gateways


@asynccontextmanager
async def a_gateway(name: str) -> AsyncIterator[str]:
    """Its address; it answers every request with its name."""
    answers: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers.add(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield "{}:{}".format(*server.sockets[0].getsockname())
        await asyncio.gather(*filter(None, answers))


def nowhere() -> str:
    """An address where nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return "{}:{}".format(*unused.getsockname())


def calling(*addresses: str) -> httpx.AsyncClient:
    transport = Gateways(addresses, httpx.AsyncHTTPTransport(trust_env=False))
    return httpx.AsyncClient(base_url="http://gateway", transport=transport, trust_env=False)


def test_gateways_take_turns():
    async def story() -> None:
        async with a_gateway("first") as first, a_gateway("second") as second, calling(first, second) as http:
            answers = [(await http.get("/")).text for _ in range(4)]
        assert sorted(answers) == ["first", "first", "second", "second"]

    asyncio.run(story())


def test_a_gateway_that_is_away_is_passed_over_and_nothing_is_lost():
    async def story() -> None:
        async with a_gateway("there") as there, calling(nowhere(), there, nowhere()) as http:
            answers = [(await http.post("/", content=b"asked")).text for _ in range(6)]
        assert answers == ["there"] * 6

    asyncio.run(story())


def test_when_all_are_away_that_is_an_error():
    async def story() -> None:
        async with calling(nowhere(), nowhere()) as http:
            with pytest.raises(httpx.ConnectError):
                await http.get("/")

    asyncio.run(story())
