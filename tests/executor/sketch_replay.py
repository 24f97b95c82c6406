"""Plays a recording of a real ComfyUI against sketch, and puts both transcripts into the same words.

A recording is played line by line: its requests are sent, its sockets opened and closed, and before each request
sketch must have sent what the real server had sent by then. Ids, times, counters and help texts are evened out;
everything else stays as recorded.
"""

import asyncio
import io
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiohttp

from tests.executor.sketch_process import SketchProcess

RECORDINGS = Path(__file__).parent / "recordings"
PATIENCE_S = 10
NOT_OURS = re.compile(r"POST /upload|GET /history\?max_items=2|GET /view_metadata")
"""Requests about uploads, which were recorded without their bodies, and earlier prompts of the recorded server."""
CHANCE = {
    *("timestamp", "create_time", "execution_start_time", "execution_end_time"),
    *("traceback", "current_inputs.image"),
    *("jobs.id", "jobs.priority", "jobs.create_time"),  # of jobs created within a millisecond any may come first
}

UNCOMPARED = {"tooltip", "extension", "node_replacements"}
"""Help texts, and features of ComfyUI's front end."""

Line = dict[str, Any]


def lines_of(name: str, *, hasten: float = 4) -> list[Line]:
    """A recording, its laboratory nodes exchanged for sketch's own and its sleeps shortened by a factor."""
    text = (RECORDINGS / f"{name}.jsonl").read_text()
    for lab, ours in (
        ("LabSleep", "SketchSleep"),
        ("LabRaise", "SketchFail"),
        ("LabText", "SketchText"),
        ("lab: half way", "sketch: half way"),
        ("lab: deliberate", "sketch: deliberate"),
    ):
        text = text.replace(lab, ours)
    text = re.sub(r'"seconds": ([\d.]+)', lambda match: f'"seconds": {float(match[1]) / hasten}', text)
    return [json.loads(line) for line in text.splitlines()]


class Socket:
    """One websocket of a replay and the frames that it got."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self.connection = connection
        self.frames: list[Any] = []
        self.more = asyncio.Event()
        self.reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.connection:
            binary = message.type is aiohttp.WSMsgType.BINARY
            self.frames.append({"binary": message.data} if binary else json.loads(message.data))
            self.more.set()

    async def until(self, enough) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not enough(self.frames):
                self.more.clear()
                await self.more.wait()


class Replay:
    """Plays a recording against sketch and keeps both transcripts in the same words."""

    def __init__(self, url: str, lines: list[Line], *, collapse: bool) -> None:
        self.url = url
        self.lines = [line for line in lines if not NOT_OURS.search(line.get("http", ""))]
        self.collapse = collapse
        self.ids: dict[str, str] = {}
        """Prompt id of sketch → prompt id of the recording."""
        self.sockets: dict[str, Socket] = {}
        self.recorded_frames: dict[str, list[Any]] = defaultdict(list)
        self.got_frames: dict[str, list[Any]] = {}
        self.answers: list[tuple[Line, Line]] = []
        """Recorded and got."""
        self.etag = ""
        self.recorded_words = Words()
        self.got_words = Words()

    async def play(self) -> None:
        async with aiohttp.ClientSession() as self.session:
            for place, line in enumerate(self.lines):
                if "http" in line:
                    await self._request(place, line)
                elif line["dir"] == "open":
                    await self._open(place, line)
                elif line["dir"] == "send":
                    await self.sockets[line["ws"]].connection.send_str(line.get("text") or json.dumps(line["msg"]))
                elif line["dir"] == "recv":
                    self.recorded_frames[line["ws"]].append(_recorded_frame(line))
                elif line["dir"] == "closed":
                    await self._close(line["ws"])
            for name in list(self.sockets):
                await self._close(name)

    async def _open(self, place: int, line: Line) -> None:
        status = next(later for later in self.lines[place:] if later.get("dir") == "recv")
        await self._until_queue_has(_remaining(status["msg"]))
        # The recorder wrote 32 digits of its own where it sent no client id.
        named = not re.fullmatch(r"[0-9a-f]{32}", line["clientId"])
        url = f"{self.url}/ws?clientId={line['clientId']}" if named else f"{self.url}/ws"
        name = line["ws"]
        self.sockets[name] = Socket(await self.session.ws_connect(url))

    async def _until_queue_has(self, remaining: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with self.session.get(f"{self.url}/prompt") as answer:
                    if (await answer.json())["exec_info"]["queue_remaining"] == remaining:
                        return

    async def _close(self, name: str) -> None:
        """Wait for as much as was recorded, then leave."""
        socket = self.sockets.pop(name)
        expected = self._recorded(name)
        await socket.until(lambda frames: len(self._got(frames)) >= len(expected))
        await socket.connection.close()
        await socket.reader
        self.got_frames[name] = [*self.got_frames.get(name, []), *self._got(socket.frames)[: len(expected)]]
        self.recorded_frames[name + " compared"] += expected
        self.recorded_frames[name] = []

    async def _request(self, place: int, line: Line) -> None:
        mine = line["body"]["prompt_id"] if isinstance(line["body"], dict) and "prompt_id" in line["body"] else None
        for name, socket in self.sockets.items():
            seen = sum(_is_about_a_prompt(frame, mine) for frame in self.recorded_frames[name])
            await socket.until(lambda frames, n=seen: sum(_is_about_a_prompt(f, None) for f in frames) >= n)
        statuses = [
            frame for frames in self.recorded_frames.values() for frame in frames if frame.get("type") == "status"
        ]
        if statuses and _remaining(statuses[-1]) == 0:
            await self._until_queue_has(0)
        method, path = line["http"].split(" ", 1)
        request: Any = json.dumps(line["req"]) if isinstance(line["req"], dict | list) else line["req"]
        for ours, recorded in self.ids.items():
            path = path.replace(recorded, ours)
            request = request and request.replace(recorded, ours)
        if request == "<101 MiB body>":
            request = io.BytesIO(bytes(101 << 20))
        headers = {304: {"If-None-Match": self.etag}, 206: {"Range": "bytes=0-9"}}.get(line["status"], {})
        async with self.session.request(method, self.url + path, data=request, headers=headers) as answer:
            raw = await answer.read()
            self.etag = answer.headers.get("ETag", self.etag)
            is_json = answer.content_type == "application/json"
            body = json.loads(raw) if is_json else raw.decode("latin-1")
            got = {"status": answer.status, "headers": dict(answer.headers), "body": body}
        if mine and isinstance(body, dict) and "prompt_id" in body:
            self.ids[body["prompt_id"]] = mine
        self.answers.append((line, got))

    def _recorded(self, name: str) -> list[Any]:
        return self._plain(self.recorded_frames[name], self.recorded_words)

    def _got(self, frames: list[Any]) -> list[Any]:
        return self._plain(json.loads(self._translated(frames)), self.got_words)

    def _translated(self, value: Any) -> str:
        text = json.dumps(value, default=_described)
        for ours, recorded in self.ids.items():
            text = text.replace(ours, recorded)
        return text

    def _plain(self, frames: list[Any], words: "Words") -> list[Any]:
        plain = [words.plain(frame) for frame in frames]
        if not self.collapse:
            return plain
        kept: list[Any] = []
        for frame in plain:
            if not (_is_step(frame) and frame.get("type") in {f.get("type") for f in kept[-2:] if _is_step(f)}):
                kept.append(frame)
        return [{"type": frame["type"], "step": True} if _is_step(frame) else frame for frame in kept]

    def compared_answers(self) -> list[tuple[Any, Any]]:
        pairs = []
        for line, got in self.answers:
            if "LoadImage" in json.dumps(line["req"]):
                continue
            got_body = json.loads(self._translated(got["body"]))
            pairs.append(
                (_answer(line, line["body"], self.recorded_words), _answer(got, got_body, self.got_words, line))
            )
        return pairs


class Words:
    """Evens out what may differ between two servers; file names get their counters by first appearance."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def plain(self, value: Any, key: str = "") -> Any:
        if key in CHANCE or (key == "sid" and re.fullmatch(r"[0-9a-f]{32}", value)):
            return "<chance>"
        if key == "filename":
            name = re.sub(r"temp_\w{5}", "temp_xxxxx", re.sub(r"\d{5}_\.png$", "", value))
            value = self.files.setdefault(value, f"{name}#{len(self.files)}")
        elif key in {"executed", "current_outputs"}:
            value = sorted(value)
        elif isinstance(value, dict):
            within = f"{key}." if key in {"current_inputs", "jobs"} else ""
            value = {k: self.plain(v, within + k) for k, v in value.items() if k not in UNCOMPARED}
        elif isinstance(value, list):
            value = [self.plain(item, key if key == "jobs" else "") for item in value]
        return value


def _remaining(status: Any) -> int:
    return status["data"]["status"]["exec_info"]["queue_remaining"]


def _is_about_a_prompt(frame: Any, other_than: str | None) -> bool:
    if "data" not in frame:
        return True
    prompt_id = frame["data"].get("prompt_id")
    return prompt_id is not None and prompt_id != other_than


def _is_step(frame: Any) -> bool:
    if frame.get("type") == "progress":
        return True
    if frame.get("type") != "progress_state":
        return False
    return any(node["state"] == "running" and node["max"] > 1 for node in frame["data"]["nodes"].values())


def _recorded_frame(line: Line) -> Any:
    if "bin" in line:
        return {
            "binary": {
                k: line["bin"][k]
                for k in ("event", "image_type", "meta", "magic", "node_id", "text")
                if k in line["bin"]
            }
        }
    return {k: v for k, v in line["msg"].items() if k != "_t"}


def _described(value: bytes) -> Any:
    """A binary frame in the words of the recorder."""
    event = int.from_bytes(value[:4], "big")
    if event == 1:
        return {"event": 1, "image_type": int.from_bytes(value[4:8], "big"), "magic": value[8:12].hex()}
    end = 8 + int.from_bytes(value[4:8], "big")
    if event == 3:
        return {"event": 3, "node_id": value[8:end].decode(), "text": value[end:].decode()}
    return {"event": event, "meta": json.loads(value[8:end]), "magic": value[end : end + 4].hex()}


def _answer(source: Line, body: Any, words: Words, recorded: Line | None = None) -> Any:
    """What counts of an HTTP answer: status, type, file headers and the body; of a picture its head."""
    headers = source["headers"]
    head = {
        name: headers[name] for name in ("Content-Range", "Accept-Ranges", "X-Content-Type-Options") if name in headers
    }
    picture = isinstance(body, str) and body.startswith(("\x89PNG", "RIFF", "\xff\xd8\xff\xe0"))
    path = (recorded or source)["http"]
    if picture or "Content-Range" in head:
        head.pop("Content-Range", None)
        body = body[:10] if body.startswith("\x89PNG") else body[:4]
    return (
        path,
        source["status"],
        headers.get("Content-Type", "").replace("application/octet-stream", ""),
        head,
        words.plain(body),
    )


async def replay(sketch: SketchProcess, *recordings: list[Line], collapse: bool = False) -> list[Replay]:
    """Play recordings one after another on one server; the later ones find what the earlier ones cached."""
    played = []
    number = 0
    for lines in recordings:
        first, last = _numbers(lines)
        await _advance_numbers(sketch.url, first - number)
        number = last + 1
        player = Replay(sketch.url, lines, collapse=collapse)
        await player.play()
        played.append(player)
    return played


def _numbers(lines: list[Line]) -> tuple[int, int]:
    """The first and the last number that the recorded server gave out, refused prompts included."""
    posts = [line for line in lines if line.get("http") == "POST /prompt"]
    given = [(place, abs(n)) for place, line in enumerate(posts) if isinstance(n := _number_of(line), int)]
    return (given[0][1] - given[0][0], given[-1][1]) if given else (0, -1)


def _number_of(line: Line) -> float | None:
    return line["body"].get("number") if isinstance(line["body"], dict) else None


async def _advance_numbers(url: str, count: int) -> None:
    """Bring the server's counter to where the recorded one stood: even a request without a prompt takes a number."""
    async with aiohttp.ClientSession() as session:
        for _ in range(count):
            async with session.post(f"{url}/prompt", json={}):
                pass


def assert_same_answers(players: list[Replay]) -> None:
    for player in players:
        assert player.answers
        for recorded, got in player.compared_answers():
            assert got == recorded


def assert_same_frames(players: list[Replay]) -> None:
    for player in players:
        assert player.got_frames
        for name, got in player.got_frames.items():
            assert got == player.recorded_frames[name + " compared"]


def assert_same(players: list[Replay]) -> None:
    assert_same_answers(players)
    assert_same_frames(players)
