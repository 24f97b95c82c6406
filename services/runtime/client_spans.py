"""Spans of the calls that this process makes, for channels of a process whose spans are recorded.

Only of calls that are made for somebody, and that have one answer: a stream of answers has its server's span, and would
have the same again.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.trace import Span, SpanKind

from services.runtime.tracing import answered, call_attributes, span, traceparent


class ThreadInterceptor(grpc.UnaryUnaryClientInterceptor, grpc.StreamUnaryClientInterceptor):
    """Of blocking calls: the code is there when the continuation returns, whatever came of them."""

    def intercept_unary_unary(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        if not traceparent():
            return continuation(details, request)
        with _calling(details.method) as opened:
            call = continuation(details._replace(metadata=_carrying(details.metadata)), request)
            answered(opened, call.code())
            return call

    intercept_stream_unary = intercept_unary_unary  # type: ignore[assignment] # the request is handed on either way


class LoopInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """Of calls on an event loop."""

    async def intercept_unary_unary(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        if not traceparent():
            return await continuation(details, request)
        with _calling(details.method) as opened:
            metadata = grpc.aio.Metadata(*_carrying(details.metadata))
            call = await continuation(details._replace(metadata=metadata), request)
            try:
                answered(opened, await call.code())
            except asyncio.CancelledError:
                call.cancel()
                raise
            return call


@contextmanager
def _calling(path: str | bytes) -> Iterator[Span]:
    name = (path.decode() if isinstance(path, bytes) else path).lstrip("/")
    service, _, method = name.partition("/")
    with span(name, SpanKind.CLIENT, attributes=call_attributes(service, method)) as opened:
        yield opened


def _carrying(metadata: Any) -> list[tuple[str, str | bytes]]:
    """The call itself is the parent of what its server does."""
    others = [(name, value) for name, value in metadata or () if name != "traceparent"]
    return [*others, ("traceparent", traceparent())]
