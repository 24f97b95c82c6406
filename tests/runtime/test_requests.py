"""Work for a request that is long answered."""

from uuid import uuid4

import structlog

from services.runtime.requests import about_task, request_id, working_for
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


def test_work_for_a_task_is_told_by_its_id_until_it_is_done():
    task_id = uuid4()
    with working_for("earlier", "", "work", task_id=task_id):
        assert structlog.contextvars.get_contextvars()["task_id"] == str(task_id)
    assert "task_id" not in structlog.contextvars.get_contextvars()


def test_a_task_that_becomes_known_is_told_until_the_work_is_done():
    task_id = uuid4()
    with working_for("earlier", "", "work"):
        about_task("a lighthouse")
        assert "task_id" not in structlog.contextvars.get_contextvars()
        about_task(str(task_id))
        assert structlog.contextvars.get_contextvars()["task_id"] == str(task_id)
    assert "task_id" not in structlog.contextvars.get_contextvars()
