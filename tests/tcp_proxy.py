"""The network between two real processes, to be made bad and good again: a TCP proxy on loopback."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 2**16
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: RST instead of FIN


class TcpProxy:
    """Context manager that listens on `address` (`127.0.0.1:port`) and forwards to `target` (`host:port`).

    A switch holds from its return until the next one, for the connections that are there and for new ones; it may
    be called from any thread. In the beginning everything passes.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._links: set[_Link] = set()
        self._flowing = asyncio.Event()
        self._delay = 0.0
        self._refusing = False
        self._allowance: int | None = None
        self._stopping = asyncio.Event()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name=f"proxy to {target}", daemon=True)
        self.address = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._listens.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def pass_on(self) -> None:
        """Forwards what comes, first what was held back."""
        self._switch()

    def delay(self, seconds: float) -> None:
        """Every chunk, in both directions, goes on that much later; what comes meanwhile is the next chunk."""
        self._switch(delay=seconds)

    def drop(self) -> None:
        """Resets every connection, and each new one as soon as it is there."""
        self._switch(refusing=True, cut=True)

    def freeze(self) -> None:
        """Half-open: connections stay and new ones are accepted, but no byte and no end passes either way."""
        self._switch(flowing=False)

    def truncate(self, after_bytes: int) -> None:
        """Resets a connection when that many more bytes, or all of a new one's first, have come from the target."""
        self._switch(allowance=after_bytes)

    def cut(self) -> None:
        """Resets the present connections; new ones pass."""
        self._switch(cut=True)

    def _switch(
        self,
        *,
        flowing: bool = True,
        refusing: bool = False,
        delay: float = 0.0,
        allowance: int | None = None,
        cut: bool = False,
    ) -> None:
        def switch() -> None:
            self._delay, self._refusing, self._allowance = delay, refusing, allowance
            for link in self._links:
                link.allowance = allowance
                if cut:
                    link.reset()
            if flowing:
                self._flowing.set()
            else:
                self._flowing.clear()

        self._call(switch)

    def _call(self, function: Callable[[], None]) -> None:
        """Runs it on the proxy's thread and waits until that is done."""

        async def call() -> None:
            function()

        asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._flowing.set()
        async with await asyncio.start_server(self._accept, "127.0.0.1", 0) as server:
            self.address = "{}:{}".format(*server.sockets[0].getsockname())
            self._listens.set()
            await self._stopping.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer, self._allowance)
        self._links.add(link)
        try:
            await self._flowing.wait()
            if self._refusing:
                return
            with suppress(OSError):
                target_reader, target_writer = await asyncio.open_connection(*self._target)
                link.add(target_writer)
                await asyncio.gather(
                    self._pump(link, reader, target_writer, counted=False),
                    self._pump(link, target_reader, writer, counted=True),
                )
                await link.close()
        finally:
            link.reset()
            self._links.discard(link)

    async def _pump(
        self, link: "_Link", reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        """Forwards until the end of the stream, which is forwarded too, or until either side is reset."""
        while not link.was_reset:
            try:
                chunk = await reader.read(_CHUNK)
            except OSError:
                await self._flowing.wait()  # a reset is held back as the bytes are
                link.reset()
                return
            await asyncio.sleep(self._delay)
            await self._flowing.wait()
            if link.was_reset:
                return
            if not chunk:
                writer.write_eof()
                return
            if counted and link.allowance is not None:
                chunk = chunk[: link.allowance]
                link.allowance -= len(chunk)
            with suppress(OSError):  # the other pump reads it from the same connection
                writer.write(chunk)
                await writer.drain()
            if link.allowance == 0:
                link.reset()


class _Link:
    """One connection of a client, and the one to the target that belongs to it."""

    def __init__(self, client: asyncio.StreamWriter, allowance: int | None) -> None:
        self._writers = [client]
        self.allowance = allowance
        self.was_reset = False

    def add(self, target: asyncio.StreamWriter) -> None:
        self._writers.append(target)
        if self.was_reset:
            self.reset()

    async def close(self) -> None:
        """In order: what was written still arrives."""
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            await writer.wait_closed()

    def reset(self) -> None:
        self.was_reset = True
        for writer in self._writers:
            if not writer.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()
