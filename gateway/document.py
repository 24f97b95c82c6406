"""The OpenAPI document: what FastAPI knows of the routes, and what every one of them does besides."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.problems import Problem, problems
from gateway.rates import COUNTED

OF_ALL = {
    "X-Request-Id": "The request's id, the client's own if it sent one; the logs carry it.",
    "Traceparent": "The request's trace, the client's own if it sent one (W3C Trace Context).",
}
"""Headers of every response."""

OF_COUNTED = {
    "RateLimit-Policy": "How much may be asked in how many seconds (draft-ietf-httpapi-ratelimit-headers).",
    "RateLimit": "How much of it is left (`r`), and in how many seconds all of it is there again (`t`).",
}
"""Headers of what is counted, unless nobody counts just now."""

OF_REFUSED = {
    401: {"WWW-Authenticate": "What is wrong with the token (RFC 6750)."},
    403: {"WWW-Authenticate": "Names the error if the token was good for something else (RFC 6750)."},
    405: {"Allow": "The methods that the path knows."},
    416: {"Content-Range": "How many bytes there are (`bytes */N`, RFC 9110 §14.4)."},
    429: {"Retry-After": "Seconds until a retry may help."},
    503: {"Retry-After": "Seconds until a retry may help."},
}

IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The ETag of what the client has: answered with 304 if that still holds.",
}


def openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= {**schema.pop("$defs"), "Problem": schema}
        for path, item in document["paths"].items():
            for verb, operation in item.items():
                _complete(path, verb, operation)
        app.openapi_schema = document
    return app.openapi_schema


def _complete(path: str, verb: str, operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        _without_null(parameter["schema"])
    responses = operation["responses"]
    is_counted = path.startswith(COUNTED)
    if is_counted:
        refused = problems("rate_limited")[429]
        for media_type, content in refused["content"].items():
            known = responses.setdefault("429", refused)["content"][media_type]
            known["examples"] = {**known["examples"], **content["examples"]}
    if verb == "get" and path.startswith("/api/") and "application/json" in responses["200"].get("content", {}):
        operation.setdefault("parameters", []).append(IF_NONE_MATCH)
        responses["200"].setdefault("headers", {}).update(_described({"ETag": "Of exactly these bytes."}))
        responses["304"] = {"description": "The client has it: If-None-Match names its ETag."}
    for status, response in responses.items():
        headers = {**OF_ALL, **(OF_COUNTED if is_counted else {})}
        if status.isdecimal():
            headers |= OF_REFUSED.get(int(status), {})
        response["headers"] = {**response.get("headers", {}), **_described(headers)}


def _without_null(schema: dict[str, Any]) -> None:
    """A query or a header leaves out what it does not have; `null` in it is a text like any other."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema.update(kinds[0])


def _described(headers: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}
