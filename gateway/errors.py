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
from starlette.routing import Match

from gateway.problems import CODES, FieldError, problem
from services.runtime.errors import details_of
from services.runtime.http import METHODS

HTTP_STATUS: Mapping[grpc.StatusCode, tuple[int, str]] = {
    grpc.StatusCode.OK: (200, "No error."),
    # The client of a canceled call is the gateway: if somebody still waits for the answer, a retry helps.
    grpc.StatusCode.CANCELLED: CODES["cancelled"],
    grpc.StatusCode.UNKNOWN: CODES["unknown"],
    grpc.StatusCode.INVALID_ARGUMENT: CODES["invalid_argument"],
    grpc.StatusCode.DEADLINE_EXCEEDED: CODES["deadline_exceeded"],
    grpc.StatusCode.NOT_FOUND: CODES["not_found"],
    grpc.StatusCode.ALREADY_EXISTS: CODES["already_exists"],
    grpc.StatusCode.PERMISSION_DENIED: CODES["permission_denied"],
    grpc.StatusCode.RESOURCE_EXHAUSTED: CODES["resource_exhausted"],
    grpc.StatusCode.FAILED_PRECONDITION: CODES["failed_precondition"],
    grpc.StatusCode.ABORTED: CODES["aborted"],
    grpc.StatusCode.OUT_OF_RANGE: CODES["out_of_range"],
    grpc.StatusCode.UNIMPLEMENTED: CODES["unimplemented"],
    grpc.StatusCode.INTERNAL: CODES["internal"],
    grpc.StatusCode.UNAVAILABLE: CODES["unavailable"],
    grpc.StatusCode.DATA_LOSS: CODES["data_loss"],
    grpc.StatusCode.UNAUTHENTICATED: CODES["unauthenticated"],
}
"""gRPC status → HTTP status, and what is said when the neighbour gave no reason: gRPC's own texts name addresses."""

_STATUSES = {"range_not_satisfiable": 416, "share_ended": 410}
"""Of reasons for which HTTP has a word and gRPC has none."""

_SOURCES: Mapping[str, FieldError] = {
    "request_id": FieldError(header="Idempotency-Key", detail=""),
    "cursor": FieldError(header="Last-Event-ID", detail=""),
}
"""Fields of the contracts that are headers."""

_PARAMETERS = {"page_token": "cursor", "page_size": "limit", "states": "status", "text": "q", "width": "w"}
"""Fields of the contracts that the query has under another name."""

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
            status = _STATUSES.get(code, status)
            if code == "range_not_satisfiable":
                headers["Content-Range"] = f"bytes */{info.metadata['size_bytes']}"
        elif part.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            part.Unpack(bad)
            errors = [_field_error(request, broken.field, broken.description) for broken in bad.field_violations]
        elif part.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            part.Unpack(retry)
            headers["Retry-After"] = str(math.ceil(retry.retry_delay.ToTimedelta().total_seconds()))
    return problem(request, code, status=status, detail=detail, errors=errors, headers=headers)


def _field_error(request: Request, field: str, detail: str) -> FieldError:
    """`spec.seed`, `task_ids[2]`: a field as BadRequest spells it. A GET has nothing but its query."""
    steps = re.findall(r"[^.\[\]]+", field)
    if field in _SOURCES:
        return _SOURCES[field].model_copy(update={"detail": detail})
    if request.method in ("GET", "HEAD"):
        return FieldError(parameter=_PARAMETERS.get(steps[0], steps[0]), detail=detail)
    return FieldError(pointer=_pointer(steps), detail=detail)


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
            return problem(request, _NOT_FOUND.get(steps[0]) or steps[0].replace("_id", "_not_found"))
        if place == "body":
            errors.append(FieldError(pointer=_pointer(steps), detail=detail))
        else:
            errors.append(FieldError.model_validate({_PLACES[place]: steps[0], "detail": detail}))
    return problem(request, "invalid_field", errors=errors)


_NOT_FOUND = {"engine_id": "worker_not_found", "owner_id": "user_not_found", "token": "share_not_found"}

_PLACES = {"query": "parameter", "header": "header"}


async def _framework_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = {"Allow": ", ".join(_allowed(request))} if error.status_code == 405 else error.headers
    return problem(request, _HTTP_CODES[error.status_code], headers=headers)


def _allowed(request: Request) -> list[str]:
    """Every method that the path knows; the framework names those of one of its routes."""

    def knows(method: str) -> bool:
        asked = {**request.scope, "method": method}
        return any(route.matches(dict(asked))[0] is Match.FULL for route in request.app.router.routes)

    return [method for method in sorted(METHODS) if knows(method)]
