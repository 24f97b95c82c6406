"""What every HTTP request passes through: request id, trace, response headers, metrics, access log, and the last
resort for errors that nobody foresaw.
"""

import re
import time
from http import HTTPStatus

import structlog
from fastapi import Request
from opentelemetry.trace import Span, SpanKind
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.problems import problem
from services.runtime import http
from services.runtime.ids import uuid7
from services.runtime.logs import describe
from services.runtime.requests import REQUEST_ID, about_task, request_id, working_for
from services.runtime.tracing import failed, traceparent, unrecorded

log = structlog.get_logger()

MAX_BODY_BYTES = 1024 * 1024

PROBES = frozenset({"/healthz", "/readyz"})
"""Asked every second by Envoy and Kubernetes; they are counted, not logged, and in no trace that is recorded."""

TASK = re.compile(r"/tasks/([^/]+)")
"""Where a path names a task, in every area that has tasks."""

HEADERS = {
    # The scripts, styles, pictures and calls of our pages all come from here; an empty icon is a data: URL.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every response that does not say otherwise."""

ONLY_HTTPS = "max-age=31536000"
"""Strict-Transport-Security, said to who came by HTTPS: by plain HTTP browsers ignore it (RFC 6797 §8.1)."""


class RequestMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        sent = asked.get("x-request-id", "")
        request = sent if REQUEST_ID.fullmatch(sent) else str(uuid7())
        parent = unrecorded() if scope["path"] in PROBES else asked.get("traceparent", "")
        with working_for(request, parent, "request", SpanKind.SERVER) as span:
            if named := TASK.search(scope["path"]):
                about_task(named[1])
            await self._answer(scope, receive, send, span)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, span: Span) -> None:
        asked = Headers(scope=scope)
        by_https = asked.get("x-forwarded-proto") == "https"
        began = time.monotonic()
        received = 0
        status = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413)
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id()
                headers["Traceparent"] = traceparent()
                if by_https:
                    headers["Strict-Transport-Security"] = ONLY_HTTPS
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive_within_limit, send_with_headers)
        except Exception as error:  # noqa: BLE001 - the one place where any error becomes a response
            log.error("unexpected error", **describe(error))  # noqa: TRY400 - the text may hold what a person wrote
            if not status:
                await problem(Request(scope), "internal")(scope, receive, send_with_headers)
        finally:
            self._observe(scope, status, time.monotonic() - began, span)

    def _observe(self, scope: Scope, status: int, seconds: float, span: Span) -> None:
        route = getattr(scope.get("route"), "path_format", http.UNKNOWN_ROUTE)
        method = http.count(scope["method"], route, status, seconds)
        _tell(span, method, route, status)
        if route not in PROBES:
            # The template, not the path's query: links carry their signatures there.
            log.info("request", method=method, route=route, status=status, seconds=round(seconds, 4))


def _tell(span: Span, method: str, route: str, status: int) -> None:
    """By the template: a path may hold the token of a share link."""
    span.update_name(f"{method} {route}")
    span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        failed(span, str(status))
