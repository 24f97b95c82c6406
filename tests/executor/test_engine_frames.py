"""Parsing of websocket frames, held against the recordings of a real ComfyUI."""

import json
import struct

import pytest

from services.executor.engine import frames
from tests.executor import replay

RECORDED = [
    pytest.param(entry, id=f"{path.stem}:{line}")
    for path in sorted(replay.RECORDINGS.glob("*.jsonl"))
    for line, entry in enumerate(map(json.loads, path.read_text().splitlines()), start=1)
    if replay.message(entry) is not None
]


def expected(entry):
    if "bin" in entry:
        recorded = entry["bin"]
        if recorded["name"] == "TEXT":
            return frames.Other("progress_text")
        picture = bytes.fromhex(recorded["magic"]).ljust(recorded["bytes"], b"\0")
        if "meta" in recorded:
            meta = recorded["meta"]
            return frames.PreviewImage(meta["prompt_id"], meta["node_id"], meta["image_type"], picture)
        mime = {1: "image/jpeg", 2: "image/png"}[recorded["image_type"]]
        return frames.PreviewImage(None, None, mime, picture)
    kind, data = entry["msg"]["type"], entry["msg"]["data"]
    return {
        "status": lambda: frames.Status(data["status"]["exec_info"]["queue_remaining"]),
        "execution_start": lambda: frames.ExecutionStart(data["prompt_id"]),
        "executing": lambda: frames.Executing(data.get("prompt_id"), data["node"]),
        "progress": lambda: frames.Progress(data["prompt_id"], data["node"], data["value"], data["max"]),
    }.get(kind, lambda: frames.Other(kind))()


def test_every_recorded_frame_parses_as_what_it_says():
    wrong = [case.id for case in RECORDED if frames.parse(replay.message(*case.values)) != expected(*case.values)]
    assert wrong == []
    assert len(RECORDED) > 900


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "not JSON",
        "[]",
        "null",
        '{"type": "status"}',
        '{"type": "status", "data": {}}',
        '{"type": "progress", "data": {"value": "x", "max": 4, "prompt_id": "p", "node": "3"}}',
        '{"type": "execution_start", "data": []}',
        b"",
        b"\0\0\0\1",
        struct.pack(">II", 1, 9) + b"picture of an unknown type",
        struct.pack(">II", 2, 1) + b"never on the wire",
        struct.pack(">II", 4, 100) + b"{}",
        struct.pack(">II", 4, 2) + b"{}picture",
        struct.pack(">II", 4, 61) + b'{"prompt_id": "p", "node_id": "3", "image_type": "text/html"}page',
    ],
)
def test_a_malformed_message_is_a_frame_error(malformed):
    with pytest.raises(frames.FrameError):
        frames.parse(malformed)
