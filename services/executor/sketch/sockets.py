"""The websocket clients: who is connected, what they negotiated, and the one queue of frames to all of them.

As in ComfyUI one task sends every frame and waits for each, so a client that does not read holds up the others
(docs/comfyui-protocol.md §5.5), and a frame that cannot be sent at all ends the server (§7.2).
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import WSMsgType, web

MAX_BODY_BYTES = 100 * 1024 * 1024
"""ComfyUI's --max-upload-size, which bounds every request body."""

FEATURES: Mapping[str, Any] = {
    "supports_preview_metadata": True,
    "supports_model_type_tags": True,
    "max_upload_size": MAX_BODY_BYTES,
    "extension": {},
    "node_replacements": False,
    "assets": False,
}

Frame = str | bytes

LOG = logging.getLogger(__name__)


class Sockets:
    """Connected clients by client id; `send` is thread-safe, everything else belongs to the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._flags: dict[str, dict[str, Any]] = {}
        self._frames: asyncio.Queue[tuple[Frame, str | None]] = asyncio.Queue()
        self.running_client: str | None = None
        """Client id of the prompt that runs now, and the node it is at; a reconnecting client is told."""
        self.running_node: str | None = None

    def send(self, event: str, data: Mapping[str, Any], client_id: str | None = None) -> None:
        """Queue a JSON frame for one client, or for all of them."""
        self.send_frame(json.dumps({"type": event, "data": data}), client_id)

    def send_frame(self, frame: Frame, client_id: str | None) -> None:
        self._loop.call_soon_threadsafe(self._frames.put_nowait, (frame, client_id))

    def supports(self, feature: str, client_id: str | None) -> bool:
        return client_id in self._flags and self._flags[client_id].get(feature) is True

    async def publish(self) -> None:
        """Send queued frames, for ever."""
        while True:
            frame, client_id = await self._frames.get()
            if client_id is None:
                targets = list(self._sockets.values())
            else:
                target = self._sockets.get(client_id)
                targets = [target] if target else []
            for socket in targets:
                await _send(socket, frame)

    async def serve(self, request: web.Request, queue_info: Mapping[str, Any]) -> web.WebSocketResponse:
        """One connection, from the handshake to its end."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.query.get("clientId") or uuid.uuid4().hex
        self._sockets[client_id] = socket
        self._flags[client_id] = {}
        try:
            await _send(socket, json.dumps({"type": "status", "data": {"status": queue_info, "sid": client_id}}))
            if self.running_client == client_id and self.running_node is not None:
                await _send(socket, json.dumps({"type": "executing", "data": {"node": self.running_node}}))
            await self._listen(socket, client_id)
        finally:
            # Not only if it is still ours: the takeover race of §5.4 is part of the protocol.
            self._sockets.pop(client_id, None)
            self._flags.pop(client_id, None)
        return socket

    async def _listen(self, socket: web.WebSocketResponse, client_id: str) -> None:
        """Only feature flags are understood, and only as the first JSON message."""
        first = True
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                data = json.loads(message.data)
            except json.JSONDecodeError:
                LOG.warning("a websocket message is not JSON")
                continue
            if first and isinstance(data, dict) and data.get("type") == "feature_flags":
                self._flags[client_id] = data.get("data", {})
                await _send(socket, json.dumps({"type": "feature_flags", "data": FEATURES}))
            first = False


async def _send(socket: web.WebSocketResponse, frame: Frame) -> None:
    try:
        if isinstance(frame, bytes):
            await socket.send_bytes(frame)
        else:
            await socket.send_str(frame)
    except ConnectionError:
        LOG.info("a websocket client is gone")
