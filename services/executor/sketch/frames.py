"""Binary websocket frames, big endian (docs/comfyui-protocol.md §3.3)."""

import json
import struct

_PREVIEW_IMAGE = 1
_PREVIEW_IMAGE_WITH_METADATA = 4
_JPEG = 1


def preview(jpeg: bytes) -> bytes:
    """Event 1: an image that does not say whose it is."""
    return struct.pack(">II", _PREVIEW_IMAGE, _JPEG) + jpeg


def preview_with_metadata(jpeg: bytes, prompt_id: str, node_id: str) -> bytes:
    """Event 4: for clients that negotiated `supports_preview_metadata`."""
    metadata = {
        "node_id": node_id,
        "prompt_id": prompt_id,
        "display_node_id": node_id,
        "parent_node_id": None,
        "real_node_id": node_id,
        "image_type": "image/jpeg",
    }
    head = json.dumps(metadata).encode()
    return struct.pack(">II", _PREVIEW_IMAGE_WITH_METADATA, len(head)) + head + jpeg
