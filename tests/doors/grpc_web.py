"""A small gRPC-web client (unary calls), to see what stands on the wire.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
"""

import base64
from typing import Any
from urllib.parse import unquote

import grpc
import httpx
from google.rpc import status_pb2

TRAILERS = 0x80
"""The bit of a frame's first byte that tells the trailers from a message."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Failed(Exception):
    """A call that ended otherwise than with OK."""

    def __init__(self, code: grpc.StatusCode, status: status_pb2.Status) -> None:
        super().__init__(f"{code.name}: {status.message}")
        self.code = code
        self.status = status


def call(http: httpx.Client, path: str, request: Any, answer: type, *, token: str = "", text: bool = False) -> Any:
    """One unary call, with binary frames or with base64 text. Raises Failed."""
    message = request.SerializeToString()
    body = b"\0" + len(message).to_bytes(4) + message
    media_type = "application/grpc-web-text" if text else "application/grpc-web+proto"
    headers = {"content-type": media_type, "accept": media_type, "x-grpc-web": "1"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    response = http.post(path, content=base64.b64encode(body) if text else body, headers=headers)
    assert response.status_code == 200, response.text
    frames = _frames(_decoded(response.content) if text else response.content)
    trailers = {**response.headers, **_trailers(frames)}
    code = _CODES[int(trailers["grpc-status"])]
    if code is not grpc.StatusCode.OK:
        details = trailers.get("grpc-status-details-bin", "")
        status = status_pb2.Status.FromString(base64.b64decode(details + "=" * (-len(details) % 4)))
        assert not details or status.message == unquote(trailers["grpc-message"])
        raise Failed(code, status)
    (content,) = [content for kind, content in frames if not kind & TRAILERS]
    return answer.FromString(content)


def _decoded(text: bytes) -> bytes:
    """Each part is padded by itself, and a part may end anywhere but inside four characters."""
    return b"".join(base64.b64decode(text[start : start + 4]) for start in range(0, len(text), 4))


def _frames(content: bytes) -> list[tuple[int, bytes]]:
    frames = []
    while content:
        size = int.from_bytes(content[1:5])
        frames.append((content[0], content[5 : 5 + size]))
        content = content[5 + size :]
    return frames


def _trailers(frames: list[tuple[int, bytes]]) -> dict[str, str]:
    lines = [line for kind, content in frames if kind & TRAILERS for line in content.decode().splitlines() if line]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
