"""Work for a request that is long answered."""

import structlog

from services.runtime.requests import request_id, working_for
from services.runtime.tracing import traceparent

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def bound() -> tuple[str, str]:
    fields = structlog.contextvars.get_contextvars()
    return fields.get("request_id", ""), fields.get("trace_id", "")


def test_work_goes_on_in_the_request_and_the_trace_that_asked_for_it():
    before = request_id(), traceparent(), bound()
    with working_for("earlier", PARENT, "work"):
        version, trace, span, flags = traceparent().split("-")
        assert (request_id(), version, trace, flags) == ("earlier", "00", TRACE, "01")
        assert span != "b7ad6b7169203331"
        assert bound() == ("earlier", TRACE)
    assert (request_id(), traceparent(), bound()) == before


def test_work_of_which_no_trace_is_known_begins_one():
    with working_for("earlier", "", "work"):
        _, trace, _, _ = traceparent().split("-")
        assert bound() == ("earlier", trace)
        assert trace not in (TRACE, "0" * 32)
