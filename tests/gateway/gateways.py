"""The real gateway on a free loopback port, in a thread of the test process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.app import create_app
from gateway.main import Server
from gateway.settings import Settings


class Gateway(Server):
    def __init__(self, addresses: dict[str, str]) -> None:
        settings = Settings(
            listen="",
            **{name.upper(): address for name, address in addresses.items()},
        )
        super().__init__(create_app(settings), "127.0.0.1", 0)
        self.ready = threading.Event()

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"


@contextmanager
def serving(addresses: dict[str, str]) -> Iterator[Gateway]:
    server = Gateway(addresses)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), name="gateway")
    thread.start()
    assert server.ready.wait(10)
    yield server
    server.should_exit = True
    thread.join(15)
    assert not thread.is_alive()
