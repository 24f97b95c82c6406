"""The real gateway on a free loopback port, in a thread of the test process."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway.app import create_app
from gateway.main import Server
from gateway.settings import Settings
from services.runtime.tokens import Authority
from tests.identities import verifier


class Gateway(Server):
    """Counts no requests unless it is told how many may come."""

    def __init__(self, addresses: dict[str, str], authority: Authority | None, **settings: Any) -> None:
        given = {"REDIS_URL": "redis://127.0.0.1:1", "rate_limit_per_user": 0, "rate_limit_per_address": 0}
        given |= {name.upper(): address for name, address in addresses.items()}
        app = create_app(Settings(listen="", **{**given, **settings}), verifier("gateway", authority))
        super().__init__(app, "127.0.0.1", 0)
        self.ready = threading.Event()

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"


@contextmanager
def serving(addresses: dict[str, str], authority: Authority | None = None, **settings: Any) -> Iterator[Gateway]:
    server = Gateway(addresses, authority, **settings)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), name="gateway")
    thread.start()
    assert server.ready.wait(10)
    yield server
    server.should_exit = True
    thread.join(15)
    assert not thread.is_alive()
