"""Where work stands in its trace (W3C Trace Context), and spans of it for whoever collects them (OpenTelemetry).

Until `record_with` is told of a tracer nothing is recorded: a span is then its ids alone, for log lines and for whoever
is called. The tracer is not OpenTelemetry's global one, for libraries look for that, too: FastAPI would make spans of
its own, with the query strings of requests in them.

A span holds no text that a person wrote. An error's text may quote it, so of an error only its class is noted.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import grpc
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    NoOpTracer,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Attributes = Mapping[str, str | int]

SERVERS_FAULT = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""What makes a server's span an error; of a client's anything but OK does (semantic conventions of gRPC, §status)."""


class _Unrecorded(NoOpTracer):
    """Makes spans of ids alone, in the trace of their parent or in a new one that nobody records."""

    def start_span(  # type: ignore[override] # of all that a span is told, ids need the parent alone
        self, _name: str, context: Context | None = None, *_: Any, **__: Any
    ) -> Span:
        parent = get_current_span(context).get_span_context()
        flags = parent.trace_flags if parent.is_valid else TraceFlags(TraceFlags.DEFAULT)
        return NonRecordingSpan(SpanContext(parent.trace_id or _id(16), _id(8), is_remote=False, trace_flags=flags))


_propagator = TraceContextTextMapPropagator()


class _Recorder:
    tracer: Tracer = _Unrecorded()


_recorder = _Recorder()


def record_with(tracer: Tracer | None) -> None:
    """From here on, spans of this process are this tracer's; None: they are not recorded."""
    _recorder.tracer = tracer or _Unrecorded()


def is_recording() -> bool:
    return not isinstance(_recorder.tracer, _Unrecorded)


def traceparent() -> str:
    """What calls to neighbours carry: the present trace, and the present span as the parent. Empty outside of any."""
    return _header(get_current_span())


def trace_id() -> str:
    """Of the present trace, as log lines have it."""
    return f"{get_current_span().get_span_context().trace_id:032x}"


def unrecorded() -> str:
    """The place of a call that nobody asked for, as when a process looks after itself: a trace that is not recorded."""
    return _header(_Unrecorded().start_span("", set_span_in_context(INVALID_SPAN)))


@contextmanager
def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    parent: str | None = None,
    attributes: Attributes | None = None,
) -> Iterator[Span]:
    """The span of what happens inside, in the trace of `parent` (if that is none, in a new one) or in the present one.

    Whether what is raised is an error, the caller says.
    """
    opened = start(name, kind, parent=parent, attributes=attributes)
    token = attach(set_span_in_context(opened))
    try:
        yield opened
    finally:
        detach(token)
        opened.end()


def start(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    parent: str | None = None,
    attributes: Attributes | None = None,
    at: datetime | None = None,
) -> Span:
    """As `span`, for what has no block of its own: the caller ends it."""
    begun = None if at is None else _nanoseconds(at)
    return _recorder.tracer.start_span(name, _context(parent), kind, attributes, start_time=begun)


def record(
    name: str, begun_at: datetime, ended_at: datetime, *, parent: str, attributes: Attributes | None = None
) -> str:
    """A span of what is over. Returns it as the parent of others."""
    told = start(name, parent=parent, attributes=attributes, at=begun_at)
    told.end(_nanoseconds(ended_at))
    return _header(told)


def failed(span: Span, kind: str) -> None:
    """Make it an error of this kind."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


def call_attributes(service: str, method: str) -> Attributes:
    """Of a gRPC call, on either side of it."""
    return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}


def answered(span: Span, code: grpc.StatusCode) -> None:
    """A gRPC call has ended, and `span` is one side of it."""
    span.set_attribute("rpc.grpc.status_code", code.value[0])
    is_server = getattr(span, "kind", None) is SpanKind.SERVER
    if code in SERVERS_FAULT or (code is not grpc.StatusCode.OK and not is_server):
        failed(span, code.name)


def _context(parent: str | None) -> Context | None:
    if parent is None:
        return None
    nowhere = set_span_in_context(INVALID_SPAN)
    return _propagator.extract({"traceparent": parent}, nowhere) if parent else nowhere


def _header(span: Span) -> str:
    place = span.get_span_context()
    if not place.is_valid:
        return ""
    return f"00-{place.trace_id:032x}-{place.span_id:016x}-{place.trace_flags:02x}"


def _nanoseconds(moment: datetime) -> int:
    """Since 1970. A datetime has microseconds, and as many of them as there are a float holds exactly."""
    return round(moment.timestamp() * 1_000_000) * 1000


def _id(size: int) -> int:
    """All zero is no id, and comes as often as any other."""
    return int.from_bytes(os.urandom(size)) or 1
