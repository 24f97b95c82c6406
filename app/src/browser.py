"""The browser around a client that runs in it (Pyodide): where it came from, and httpx over `fetch`, for Python has no
sockets there.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import js
from pyodide.ffi import JsException, to_js

BROWSERS_OWN = frozenset({"accept-encoding", "cache-control", "connection", "content-length", "host", "user-agent"})
"""Headers of a request that the browser writes by itself. It forbids most of them (Fetch §2.2.2); a call to another
origin with one of the others wants a leave that the gateway does not give.
"""

UNPACKED = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers of a response that tell of bytes which the browser has already unpacked."""


def origin() -> str:
    """Of the page."""
    return str(js.location.origin)


def assets() -> str:
    """URL of the client's own files. Python runs in a worker, whose script lies beside them."""
    return str(js.URL.new("assets/", js.location.href).href)


class FetchTransport(httpx.AsyncBaseTransport):
    """Time-outs are httpx's: `read` limits the wait for an answer's beginning and for each of its pieces; to connect is
    part of the former, since a browser does not tell them apart.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        abort = js.AbortController.new()
        options = {
            "method": request.method,
            "headers": {name: value for name, value in request.headers.items() if name not in BROWSERS_OWN},
            "body": await request.aread() or None,
            "cache": "no-store",  # httpx keeps nothing either
            "credentials": "omit",
            "signal": abort.signal,
        }
        silence = request.extensions["timeout"]["read"]
        try:
            async with asyncio.timeout(silence):
                answer = await js.fetch(str(request.url), to_js(options, dict_converter=js.Object.fromEntries))
        except TimeoutError as error:
            abort.abort()
            raise httpx.ReadTimeout("no answer came in time") from error
        except asyncio.CancelledError:
            abort.abort()
            raise
        except JsException as error:
            raise httpx.ConnectError(str(error)) from error
        headers = [(name, value) for name, value in answer.headers if name not in UNPACKED]
        stream = Body(answer.body.getReader(), abort, silence) if answer.body else httpx.ByteStream(b"")
        return httpx.Response(answer.status, headers=headers, stream=stream)


class Body(httpx.AsyncByteStream):
    """An answer's body, piece by piece as it comes. `silence` is how many seconds each may take, None: any."""

    def __init__(self, reader: Any, abort: Any, silence: float | None) -> None:
        self._reader = reader
        self._abort = abort
        self._silence = silence
        self._has_ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(self._silence):
                    piece = await self._reader.read()
            except TimeoutError as error:
                raise httpx.ReadTimeout("the answer fell silent") from error
            except JsException as error:
                raise httpx.ReadError(str(error)) from error
            if piece.done:
                self._has_ended = True
                return
            yield piece.value.to_bytes()

    async def aclose(self) -> None:
        """Ends the connection of a body that has not come to its end."""
        if not self._has_ended:
            self._abort.abort()
