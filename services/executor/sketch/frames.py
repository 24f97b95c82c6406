"""Binary websocket frames, big endian (docs/comfyui-protocol.md §3.3)."""

import json
import struct

_PREVIEW_IMAGE = 1
_TEXT = 3
_PREVIEW_IMAGE_WITH_METADATA = 4
_IMAGE_TYPES = {"image/jpeg": 1, "image/png": 2}


def preview(image: bytes) -> bytes:
    """Event 1: an image that does not say whose it is."""
    return struct.pack(">II", _PREVIEW_IMAGE, _IMAGE_TYPES[_mime(image)]) + image


def progress_text(node_id: str, text: str) -> bytes:
    """Event 3: a node's words, which do not say of which prompt."""
    node = node_id.encode()
    return struct.pack(">II", _TEXT, len(node)) + node + text.encode()


def preview_with_metadata(image: bytes, prompt_id: str, node_id: str) -> bytes:
    """Event 4: for clients that negotiated `supports_preview_metadata`."""
    metadata = {
        "node_id": node_id,
        "prompt_id": prompt_id,
        "display_node_id": node_id,
        "parent_node_id": None,
        "real_node_id": node_id,
        "image_type": _mime(image),
    }
    head = json.dumps(metadata).encode()
    return struct.pack(">II", _PREVIEW_IMAGE_WITH_METADATA, len(head)) + head + image


def _mime(image: bytes) -> str:
    return "image/png" if image.startswith(b"\x89PNG") else "image/jpeg"
