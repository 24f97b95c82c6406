"""Whether a client has what it asks for: entity tags, and 304 (RFC 9110 §13)."""

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import partial

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.revising import revising

TAG = re.compile(r'(?:W/)?("[^"]*")')

CACHING = "private, no-cache"
"""For its owner's own cache alone, which has to ask each time whether it still holds."""


def etag_of(body: bytes) -> str:
    """A strong tag: the same bytes have the same one, from whichever replica they come."""
    return f'"{base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:16]).rstrip(b"=").decode()}"'


def has(if_none_match: Iterable[str], etag: str) -> bool:
    """Whether a client that sent these If-None-Match headers has it (weak comparison)."""
    sent = ",".join(if_none_match)
    return sent.strip() == "*" or etag in TAG.findall(sent)


class ConditionalMiddleware:
    """Gives every JSON that GET answers with an ETag, and 304 instead to a client that has it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        if_none_match = Headers(scope=scope).getlist("if-none-match")
        tag = partial(_tagged, if_none_match=if_none_match)
        await self._app(scope, receive, revising(send, _is_json, tag))


def _is_json(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return start["status"] == 200 and headers.get("content-type") == "application/json" and "etag" not in headers


def _tagged(start: Message, body: Message, if_none_match: Iterable[str]) -> tuple[Message, Message]:
    headers = MutableHeaders(raw=list(start["headers"]))
    headers["ETag"] = etag = etag_of(body["body"])
    headers.setdefault("Cache-Control", CACHING)
    if has(if_none_match, etag):
        for name in ("Content-Type", "Content-Length", "Content-Encoding"):
            del headers[name]
        return {**start, "status": 304, "headers": headers.raw}, {**body, "body": b""}
    return {**start, "headers": headers.raw}, body
