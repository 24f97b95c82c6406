"""A server that plays one recording of a real ComfyUI (recordings/*.jsonl) back to the engine seam.

The recording says what comes, in which order, and where the socket closed. The rules of docs/comfyui-protocol.md say
to whom: frames of a run go only to the client id that submitted it. Waiting times are left out.
"""

import asyncio
import json
import struct
import threading
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from aiohttp import WSCloseCode, web

from services.executor.engine.comfyui import ComfyUI

RECORDINGS = Path(__file__).parent / "recordings"
KILLED = 1006


def picture(name: str) -> bytes:
    """Bytes that begin and end as a PNG does, and are different for each name."""
    return b"\x89PNG\r\n\x1a\n" + name.encode() + b"\0\0\0\0IEND\xaeB`\x82"


def entries(recording: str) -> list[dict[str, Any]]:
    """The lines of the recording whose file name begins with `recording`."""
    (path,) = RECORDINGS.glob(f"{recording}*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def message(entry: dict[str, Any]) -> str | bytes | None:
    """The websocket message of an entry that received one; of a picture only the first bytes are as recorded."""
    if entry.get("dir") != "recv" or not entry.keys() & {"msg", "bin"}:
        return None
    if "msg" in entry:
        return json.dumps({key: entry["msg"][key] for key in ("type", "data")})
    recorded: dict[str, Any] = entry["bin"]
    head: bytes
    if recorded["name"] == "TEXT":
        node, text = recorded["node_id"].encode(), recorded["text"].encode()
        head = struct.pack(">II", recorded["event"], len(node)) + node + text
    else:
        picture = bytes.fromhex(recorded["magic"]).ljust(recorded["bytes"], b"\0")
        meta = json.dumps(recorded["meta"]).encode() if "meta" in recorded else b""
        head = struct.pack(">II", recorded["event"], len(meta) or recorded["image_type"]) + meta + picture
    assert len(head) == recorded["len"]
    assert head[:12].hex() == recorded["hex16"][:24]
    return head


class Replay:
    """Serves one recording on a free loopback port, for one run. Subclasses break a handler.

    Attributes:
        url: where it listens.
        graph: the recorded graph.
        output_node: the node of it that saves.
        record: the run's job record once it has ended.
        posts: how many prompts were accepted.
        clients: the client id of each socket, in order.
        started: set when the run has begun.
        canceled: set when a cancel came.
    """

    def __init__(self, recording: str) -> None:
        self._entries = entries(recording)
        posts = [e for e in self._entries if e.get("http") == "POST /prompt"]
        self.graph: dict[str, Any] = posts[0]["req"]["prompt"]
        (self.output_node,) = (n for n, body in self.graph.items() if body["class_type"] == "SaveImage")
        self._recorded_id: str = posts[0]["body"]["prompt_id"]
        self._start = self._entries.index(posts[0])
        self.posts = 0
        self.clients: list[str] = []
        self.status = "pending"
        self.record = self._recorded_end()
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._ready: Future[str] = Future()
        self.started = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._ready.result(timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()

    def _recorded_end(self) -> dict[str, Any]:
        """The run's last record: as it was read, else as the frames tell it."""
        job: dict[str, Any] = {"status": "completed", "outputs": {}}
        for entry in self._entries:
            if entry.get("http") == f"GET /api/jobs/{self._recorded_id}" and entry["status"] == web.HTTPOk.status_code:
                return dict(entry["body"])
            if entry.get("http") == f"GET /history/{self._recorded_id}" and self._recorded_id in entry["body"]:
                job["outputs"] |= entry["body"][self._recorded_id]["outputs"]
            frame = entry.get("msg", {})
            if frame.get("type") == "executed" and frame["data"]["prompt_id"] == self._recorded_id:
                job["outputs"][frame["data"]["node"]] = frame["data"]["output"]
        return job

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over, self.canceled, self.connected = asyncio.Event(), asyncio.Event(), asyncio.Event()
        app = web.Application()
        app.add_routes(self.routes())
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._ready.set_result(f"http://127.0.0.1:{runner.addresses[0][1]}")
        await self._over.wait()
        for socket in list(self.sockets.values()):
            await socket.close(code=WSCloseCode.GOING_AWAY)
        await runner.cleanup()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ws", self.socket),
            web.post("/prompt", self.prompt),
            web.get("/api/jobs/{id}", self.job),
            web.post("/api/jobs/{id}/cancel", self.cancel),
            web.get("/view", self.view),
        ]

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client = request.query["clientId"]
        self.clients.append(client)
        self.sockets[client] = socket
        self.connected.set()
        async for _ in socket:
            pass
        return socket

    async def prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert body["prompt"] == self.graph
        self.posts += 1
        self._id, self._client = body["prompt_id"], body["client_id"]
        self._playing = asyncio.create_task(self.play())
        return web.json_response({"prompt_id": self._id, "number": 0, "node_errors": {}})

    async def play(self) -> None:
        last = len(self._entries) - 1
        for index, entry in enumerate(self._entries[self._start :], start=self._start):
            if entry.get("dir") == "closed" and (index < last or entry["code"] == KILLED):
                await self._disconnect(killed=entry["code"] == KILLED)
            elif entry.get("dir") == "open":
                await self.connected.wait()
            elif "/interrupt" in entry.get("http", "") or "/cancel" in entry.get("http", ""):
                await self.canceled.wait()
            elif (frame := message(entry)) is not None:
                await self.send(entry, frame)
        if self.status != "gone":
            self.status = "over"

    async def _disconnect(self, *, killed: bool) -> None:
        self.connected.clear()
        if killed:
            self.status = "gone"
        for socket in self.sockets.values():
            await socket.close()

    async def send(self, entry: dict[str, Any], frame: str | bytes) -> None:
        frame = (
            frame.replace(self._recorded_id, self._id)
            if isinstance(frame, str)
            else frame.replace(self._recorded_id.encode(), self._id.encode())
        )
        kind, data = (entry["msg"]["type"], entry["msg"]["data"]) if "msg" in entry else ("preview", {})
        if self.status == "pending" and kind == "execution_start":
            self.status = "in_progress"
            self.started.set()
        if kind == "executing" and data["node"] is None and data["prompt_id"] == self._recorded_id:
            self.status = "over"
        for client, socket in self.sockets.items():
            if not socket.closed and (kind == "status" or client == self._client):
                await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))

    async def job(self, request: web.Request) -> web.Response:
        if request.match_info["id"] != getattr(self, "_id", None) or self.status == "gone":
            return web.json_response({"error": "Job not found"}, status=404)
        return web.json_response((self.record if self.status == "over" else {"status": self.status}) | {"id": self._id})

    async def cancel(self, _: web.Request) -> web.Response:
        self.canceled.set()
        return web.json_response({"cancelled": True})

    async def view(self, request: web.Request) -> web.Response:
        return web.Response(body=picture(request.query["filename"]))


PICTURE = picture("null_00001_.png")


def run(server, *, on_event=lambda _: None, **patience):
    with closing(ComfyUI(server.url, **patience)) as engine:
        engine.start()
        return engine.run(uuid4(), server.graph, output_node=server.output_node, on_event=on_event)
