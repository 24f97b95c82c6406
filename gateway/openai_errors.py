"""Errors as OpenAI's SDKs read them, under the paths that they call: what is wrong is decided where every problem is,
only the shape is another.
"""

from collections.abc import Mapping, Sequence

from fastapi.responses import JSONResponse, Response

PATHS = "/v1/"

STATUSES = {422: 400}
"""OpenAI answers a request that breaks a rule with 400, which an SDK raises as its BadRequestError."""

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

PARAMS = {"count": "n", "width": "size", "height": "size"}
"""Our names of what OpenAI calls otherwise."""

RETRIED = (429, 503)
"""Where nothing was accepted. By itself an SDK would also repeat a 409 or 500, and ask for the same pictures anew."""


def openai_error(
    status: int,
    code: str,
    message: str,
    *,
    wrong: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    retry: bool | None = None,
) -> Response:
    """`wrong`: the names of the parts of the request that are wrong, each with what is wrong with it."""
    named = dict.fromkeys((PARAMS.get(name, name), text) for name, text in wrong)
    status = STATUSES.get(status, status)
    error = {
        "message": "; ".join(f"{param}: {text}" for param, text in named) or message,
        "type": TYPES.get(status) or ("server_error" if status >= 500 else "invalid_request_error"),
        "param": next((param for param, _ in named), None),
        "code": code,
    }
    advised = status in RETRIED if retry is None else retry
    sent = {**(headers or {}), "X-Should-Retry": str(advised).lower()}
    return JSONResponse({"error": error}, status, sent)
