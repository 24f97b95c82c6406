"""The frames of ComfyUI's websocket, parsed (docs/comfyui-protocol.md §3)."""

import json
import struct
from dataclasses import dataclass
from typing import Any

PREVIEW_IMAGE = 1
TEXT = 3
PREVIEW_IMAGE_WITH_METADATA = 4

# The only message that a client may send, and only as its first: previews then say whose they are (§3, §3.3).
FEATURE_FLAGS = json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}})

_IMAGE_TYPES = {1: "image/jpeg", 2: "image/png"}


class FrameError(ValueError):
    """The message is no frame of this protocol."""


@dataclass(frozen=True)
class Status:
    """The length of the engine's queue changed. Goes to every socket, so a socket that misses it is deaf (§5.4)."""

    queue_remaining: int


@dataclass(frozen=True)
class ExecutionStart:
    prompt_id: str


@dataclass(frozen=True)
class Executing:
    """A node starts; `node` None is the terminal frame of a run, sent after its history is written.

    `prompt_id` is None in the one frame that greets a socket which took over a client id (§5.2).
    """

    prompt_id: str | None
    node: str | None


@dataclass(frozen=True)
class Progress:
    prompt_id: str
    node: str
    value: int
    max: int


@dataclass(frozen=True)
class PreviewImage:
    """An unfinished picture; prompt and node are None unless metadata was negotiated."""

    prompt_id: str | None
    node: str | None
    mime: str
    data: bytes


@dataclass(frozen=True)
class Other:
    """A frame that tells nothing which the run's record does not tell better."""

    type: str


Frame = Status | ExecutionStart | Executing | Progress | PreviewImage | Other


# What comes only while the worker thread works on a prompt (§3.1). A custom node may send anything at any time.
_OF_WORK = frozenset(
    {
        "executed",
        "execution_cached",
        "execution_error",
        "execution_interrupted",
        "execution_success",
        "progress_state",
        "progress_text",
    }
)


def shows_work(frame: Frame) -> bool:
    """Whether the frame proves that the engine's worker thread lives. A `status` does not: HTTP alone brings it."""
    return frame.type in _OF_WORK if isinstance(frame, Other) else not isinstance(frame, Status)


def parse(message: str | bytes) -> Frame:
    """The frame in a websocket message: text is JSON, bytes are big endian.

    Raises:
        FrameError: the message is malformed.
    """
    try:
        return _parse_json(message) if isinstance(message, str) else _parse_binary(message)
    # OverflowError by 1e999, RecursionError by brackets, and a custom node may send any shape.
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, struct.error) as error:
        raise FrameError(type(error).__name__) from error


def _parse_json(message: str) -> Frame:
    frame = json.loads(message)
    kind = _text(frame["type"])
    match kind:
        case "status":
            return Status(int(frame["data"]["status"]["exec_info"]["queue_remaining"]))
        case "execution_start":
            return ExecutionStart(_text(frame["data"]["prompt_id"]))
        case "executing":
            data = frame["data"]
            return Executing(_text_or_none(data.get("prompt_id")), _text_or_none(data["node"]))
        case "progress":
            data = frame["data"]
            return Progress(_text(data["prompt_id"]), _text(data["node"]), int(data["value"]), int(data["max"]))
        case _:
            return Other(kind)


def _parse_binary(message: bytes) -> Frame:
    event, head = struct.unpack_from(">II", message)
    if event == PREVIEW_IMAGE:
        return PreviewImage(None, None, _IMAGE_TYPES[head], message[8:])
    if event == PREVIEW_IMAGE_WITH_METADATA:
        metadata = json.loads(message[8 : 8 + head])
        mime = metadata["image_type"]
        if mime not in _IMAGE_TYPES.values():
            raise ValueError(f"image type {mime}")
        return PreviewImage(_text(metadata["prompt_id"]), _text(metadata["node_id"]), mime, message[8 + head :])
    if event == TEXT:
        return Other("progress_text")
    raise ValueError(f"binary event {event}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no text")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)
