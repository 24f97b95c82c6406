"""The gateways that the process calls as if they were one: they take turns, and one that is away is passed over."""

from collections import deque
from collections.abc import Sequence

import httpx


class Gateways(httpx.AsyncBaseTransport):
    """`addresses`: `host:port` of each."""

    def __init__(self, addresses: Sequence[str], transport: httpx.AsyncBaseTransport) -> None:
        self._addresses = deque(addresses)
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """What has reached nobody may go to the next one, whatever its method."""
        self._addresses.rotate(-1)
        *others, last = self._addresses
        for address in others:
            try:
                return await self._send(request, address)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._send(request, last)

    async def _send(self, request: httpx.Request, address: str) -> httpx.Response:
        host, _, port = address.rpartition(":")
        request.url = request.url.copy_with(host=host, port=int(port))
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()
