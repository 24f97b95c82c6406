"""Visitors of the client without a browser: they speak Flet's protocol as its Dart side does, and look at nothing.

A frame is a byte that names its stream and a message in MessagePack, `[action, body]` (flet/messaging/protocol.py).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgpack
import websockets

REGISTER, PATCH, INVOKE, CRASHED = 1, 2, 5, 6
PREFIX = b"\x00"
PAGE = {
    "route": "/create",
    "web": True,
    "wasm": True,
    "multi_view": False,
    "pyodide": False,
    "platform": "linux",
    "platform_brightness": "light",
    "width": 1280.0,
    "height": 800.0,
    "window": {},
}
LOCALES = [{"language_code": "en", "country_code": "US", "script_code": None}]


class Visitor:
    """One session.

    Attributes:
        kept: what the browser would keep: name → text.
        patches: how many changes of what is shown have come.
        bytes: of all frames that came.
    """

    def __init__(self, kept: dict[str, str]) -> None:
        self.kept = kept
        self.patches = 0
        self.bytes = 0
        self.settled = asyncio.Event()

    async def stay(self, connection: websockets.ClientConnection) -> None:
        await connection.send(frame_of(REGISTER, {"session_id": None, "page_name": "", "page": PAGE}))
        async for frame in connection:
            assert isinstance(frame, bytes)
            self.bytes += len(frame)
            if not frame:  # it only tells that the connection is there
                continue
            action, body = msgpack.unpackb(frame[1:], strict_map_key=False)
            if action == PATCH:
                self.patches += 1
                if b"navigationrail" in frame.lower():  # only a member has one
                    self.settled.set()
            elif action == INVOKE:
                answer = {"control_id": body["control_id"], "call_id": body["call_id"], "error": None}
                await connection.send(frame_of(INVOKE, {**answer, "result": self._answer(body)}))

    def _answer(self, body: dict[str, Any]) -> Any:
        arguments = body.get("args") or {}
        match body["name"]:
            case "get_device_info":
                return {"browser_name": "chrome", "locales": LOCALES}
            case "get":
                return self.kept.get(arguments["key"])
            case "set":
                self.kept[arguments["key"]] = arguments["value"]
                return True
        return None


def tokens(access_token: str, refresh_token: str) -> dict[str, str]:
    """What the browser of somebody who is signed in keeps."""
    return {"imagegen.tokens": json.dumps({"access_token": access_token, "refresh_token": refresh_token})}


@asynccontextmanager
async def visiting(url: str, kept: dict[str, str]) -> AsyncIterator[Visitor]:
    """A visit that has come as far as the first screen."""
    visitor = Visitor(kept)
    address = f"{url.replace('http', 'ws', 1)}/ws"
    async with websockets.connect(address, origin=websockets.Origin(url), max_size=None) as connection:
        staying = asyncio.create_task(visitor.stay(connection))
        try:
            await visitor.settled.wait()
            yield visitor
        finally:
            staying.cancel()
            with suppress(asyncio.CancelledError):
                await staying


def frame_of(action: int, body: dict[str, Any]) -> bytes:
    return PREFIX + bytes(msgpack.packb([action, body]))
