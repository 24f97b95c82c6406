"""The request that work is done for: its id and its trace, in every log line and every call to a neighbour."""

import contextvars
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

TRACEPARENT = re.compile(r"00-((?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")
"""Version 00 of the header `traceparent` (W3C Trace Context §3.2): trace id, the caller's span, flags."""

_request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")

_traceparent: contextvars.ContextVar[str] = contextvars.ContextVar("traceparent", default="")


def request_id() -> str:
    """The id that this call's log lines carry, here and in every service it reaches."""
    return _request_id.get()


def traceparent() -> str:
    """What calls to neighbours carry: the trace of this call, and the call itself as the parent."""
    return _traceparent.get()


def begin(request: str, parent: str = "") -> None:
    """From here on, this task or thread works for a request, in the trace of `parent` or else in a new one."""
    trace_id, span = _joined(parent)
    _request_id.set(request)
    _traceparent.set(span)
    structlog.contextvars.bind_contextvars(request_id=request, trace_id=trace_id)


@contextmanager
def continuing(request: str, parent: str) -> Iterator[None]:
    """Work that an earlier request asked for: its log lines and its calls to neighbours carry that request's id, and go
    on in the trace of `parent`, or else in a new one.
    """
    trace_id, span = _joined(parent)
    request_token, trace_token = _request_id.set(request), _traceparent.set(span)
    try:
        with structlog.contextvars.bound_contextvars(request_id=request, trace_id=trace_id):
            yield
    finally:
        _traceparent.reset(trace_token)
        _request_id.reset(request_token)


def _joined(parent: str) -> tuple[str, str]:
    """The id of the parent's trace, or of a new one, and a new span in it as `traceparent` has it."""
    sent = TRACEPARENT.fullmatch(parent)
    trace_id, flags = sent.groups() if sent else (os.urandom(16).hex(), "00")
    return trace_id, f"00-{trace_id}-{os.urandom(8).hex()}-{flags}"
