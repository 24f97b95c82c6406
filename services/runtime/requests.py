"""The id of the request that work is done for: carried by every log line and every call to a neighbour."""

import contextvars
import re
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


def request_id() -> str:
    """The id that this call's log lines carry, here and in every service it reaches."""
    return _request_id.get()


def begin(request: str) -> None:
    """From here on, this task or thread works for a request."""
    _request_id.set(request)
    structlog.contextvars.bind_contextvars(request_id=request)


@contextmanager
def continuing(request: str) -> Iterator[None]:
    """Work that an earlier request asked for: its log lines and its calls to neighbours carry that request's id."""
    token = _request_id.set(request)
    try:
        with structlog.contextvars.bound_contextvars(request_id=request):
            yield
    finally:
        _request_id.reset(token)
