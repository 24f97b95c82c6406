"""The request that work is done for: its id, its trace and its task, in every log line; the first two in every call to
a neighbour, too.
"""

import contextvars
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import structlog
from opentelemetry.trace import Span, SpanKind

from services.runtime import tracing

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


def request_id() -> str:
    """The id that this call's log lines carry, here and in every service it reaches."""
    return _request_id.get()


@contextmanager
def working_for(
    request: str,
    parent: str,
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: tracing.Attributes | None = None,
    *,
    task_id: UUID | None = None,
) -> Iterator[Span]:
    """Work for a request, be it long answered: a span in the trace of `parent`, or else in a new one. Log lines and
    calls to neighbours carry the request's id and that trace; log lines also the task's id, if it is known.
    """
    token = _request_id.set(request)
    try:
        with (
            tracing.span(name, kind, parent=parent, attributes=attributes) as span,
            structlog.contextvars.bound_contextvars(request_id=request, trace_id=tracing.trace_id()),
        ):
            if task_id:
                about_task(str(task_id))
            yield span
    finally:
        structlog.contextvars.unbind_contextvars("task_id")
        _request_id.reset(token)


def about_task(task_id: str) -> None:
    """From here on, this request's log lines name the task. What is no id they leave out: it may be anybody's words."""
    with suppress(ValueError):
        structlog.contextvars.bind_contextvars(task_id=str(UUID(task_id)))
