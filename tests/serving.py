"""Run one of our gRPC servers, or a neighbour's stand-in, inside the test process."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from grpc_health.v1.health import HealthServicer

from services.runtime.server import Server


@contextmanager
def running(server: Server, *background: Coroutine[Any, Any, None]) -> Iterator[str]:
    """Serve on a free loopback port, with the event loop in a thread of its own; yields `host:port`.

    `background` runs on the same loop until the end.
    """
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever, name="server")
        thread.start()
        tasks: list[asyncio.Task[None]] = []

        async def start() -> int:
            tasks.extend(map(asyncio.create_task, background))
            return await server.start("127.0.0.1:0")

        async def stop() -> None:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)  # a second cancel would cut their cleaning up short
            await server.stop(0)

        try:
            yield f"127.0.0.1:{asyncio.run_coroutine_threadsafe(start(), loop).result(10)}"
        finally:
            asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)


@contextmanager
def stand_in(register: Callable[[grpc.Server], None]) -> Iterator[str]:
    """Serve a fake neighbour (a subclass of its generated servicer) from threads; yields `host:port`."""
    server = grpc.server(ThreadPoolExecutor(128))  # an open stream keeps one
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait(5)


def health() -> HealthServicer:
    """Of a stand-in: each watcher keeps a thread.

    As grpcio-health-checking makes it, `set` sends to watchers while it holds the lock which a watcher's end waits for.
    """
    return HealthServicer(experimental_non_blocking=False)
