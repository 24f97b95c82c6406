"""From what went wrong to problem+json: gRPC statuses, requests that do not parse, unknown paths."""

import math
import re
from collections.abc import Mapping
from urllib.parse import quote

import grpc
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from google.rpc import error_details_pb2
from starlette.exceptions import HTTPException

from gateway.problems import FieldError, problem
from services.runtime.errors import details_of

HTTP_STATUS: Mapping[grpc.StatusCode, tuple[int, str]] = {
    grpc.StatusCode.OK: (200, "No error."),
    # The client of a canceled call is the gateway: if somebody still waits for the answer, a retry helps.
    grpc.StatusCode.CANCELLED: (503, "The call was broken off; a retry helps."),
    grpc.StatusCode.UNKNOWN: (500, "An internal error; it has been logged."),
    grpc.StatusCode.INVALID_ARGUMENT: (422, "The request breaks a rule."),
    grpc.StatusCode.DEADLINE_EXCEEDED: (504, "The service did not answer in time."),
    grpc.StatusCode.NOT_FOUND: (404, "There is no such thing."),
    grpc.StatusCode.ALREADY_EXISTS: (409, "It exists already."),
    grpc.StatusCode.PERMISSION_DENIED: (403, "This caller may not call this."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (429, "Too much was asked for."),
    grpc.StatusCode.FAILED_PRECONDITION: (409, "Its state does not allow this."),
    grpc.StatusCode.ABORTED: (409, "Something else changed it at the same time."),
    grpc.StatusCode.OUT_OF_RANGE: (422, "A value is out of range."),
    grpc.StatusCode.UNIMPLEMENTED: (501, "The service does not know this call."),
    grpc.StatusCode.INTERNAL: (500, "An internal error; it has been logged."),
    grpc.StatusCode.UNAVAILABLE: (503, "The service is away for the moment; a retry helps."),
    grpc.StatusCode.DATA_LOSS: (410, "The data is lost."),
    grpc.StatusCode.UNAUTHENTICATED: (401, "The caller is not known."),
}
"""gRPC status → HTTP status, and what is said when the neighbour gave no reason: gRPC's own texts name addresses."""

_SOURCES: Mapping[str, FieldError] = {
    "request_id": FieldError(header="Idempotency-Key", detail=""),
    "cursor": FieldError(header="Last-Event-ID", detail=""),
    "page_token": FieldError(parameter="cursor", detail=""),
    "page_size": FieldError(parameter="limit", detail=""),
    "text": FieldError(parameter="q", detail=""),
}
"""Fields of the contracts that are not in the request's body under their own name."""

_HTTP_CODES = {
    400: "malformed_json",
    404: "not_found",
    405: "method_not_allowed",
    413: "content_too_large",
}
"""What the framework itself answers with."""


def install(app: FastAPI) -> None:
    app.add_exception_handler(grpc.aio.AioRpcError, _neighbour_refused)
    app.add_exception_handler(RequestValidationError, _request_invalid)
    app.add_exception_handler(HTTPException, _framework_refused)


async def _neighbour_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, grpc.aio.AioRpcError)
    status, sentence = HTTP_STATUS[error.code()]
    code, detail, errors, headers = error.code().name.lower(), sentence, [], {}
    for part in details_of(error):
        if part.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            part.Unpack(info)
            code, detail = info.reason.lower(), error.details() or sentence
        elif part.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            part.Unpack(bad)
            errors = [_field_error(violation.field, violation.description) for violation in bad.field_violations]
        elif part.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            part.Unpack(retry)
            headers["Retry-After"] = str(math.ceil(retry.retry_delay.ToTimedelta().total_seconds()))
    return problem(request, code, status=status, detail=detail, errors=errors, headers=headers)


def _field_error(field: str, detail: str) -> FieldError:
    """`spec.seed`, `task_ids[2]`: a field as BadRequest spells it."""
    if field in _SOURCES:
        return _SOURCES[field].model_copy(update={"detail": detail})
    return FieldError(pointer=_pointer(re.findall(r"[^.\[\]]+", field)), detail=detail)


def _pointer(steps: list[str]) -> str:
    """RFC 6901 §6: a JSON Pointer as a URI fragment."""
    return "#" + "".join("/" + quote(step.replace("~", "~0").replace("/", "~1"), errors="replace") for step in steps)


async def _request_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, bytes):  # FastAPI leaves a body undecoded when its type is not JSON
        return problem(request, "unsupported_media_type")
    errors = []
    for invalid in error.errors():
        (place, *steps), detail = [str(step) for step in invalid["loc"]], invalid["msg"]
        if invalid["type"] == "json_invalid":
            return problem(request, "malformed_json", detail=f"{detail}: {invalid['ctx']['error']} at {steps[0]}.")
        if place == "path":  # an id that cannot be one: no such task, no such result
            return problem(request, steps[0].replace("_id", "_not_found"))
        if place == "body":
            errors.append(FieldError(pointer=_pointer(steps), detail=detail))
        else:
            errors.append(FieldError.model_validate({_PLACES[place]: steps[0], "detail": detail}))
    return problem(request, "invalid_field", errors=errors)


_PLACES = {"query": "parameter", "header": "header"}


async def _framework_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(request, _HTTP_CODES[error.status_code], headers=error.headers)
