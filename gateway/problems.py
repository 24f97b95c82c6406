"""The one shape of every error: problem+json (RFC 9457), and the list of the codes that a client may meet.

What each code means to a person, and what to do about it, is in gateway/reference/advice.py; /problems shows it.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from gateway import share_page
from gateway.negotiation import prefers_json
from gateway.openai_errors import PATHS, openai_error
from gateway.origins import public_origin
from services.runtime.requests import request_id

MEDIA_TYPE = "application/problem+json"

CODES: Mapping[str, tuple[int, str]] = {
    "bad_request": (400, "The request is not proper HTTP."),
    "malformed_json": (400, "The body is not JSON."),
    "bad_credentials": (401, "The account is unknown or the password is wrong."),
    "refresh_token_invalid": (401, "The refresh token is unknown, has expired, or its session has ended."),
    "refresh_token_reused": (401, "The refresh token was exchanged before; its session has been ended."),
    "share_locked": (401, "The link needs its password."),
    "share_password_wrong": (401, "This is not the link's password."),
    "token_expired": (401, "The token has expired."),
    "token_invalid": (401, "The token is not valid here."),
    "token_missing": (401, "This call needs a token."),
    "token_revoked": (401, "The token's session, API key or account has been ended."),
    "unauthenticated": (401, "The caller is not known."),
    "caller_not_allowed": (403, "This caller may not call this."),
    "download_not_allowed": (403, "The link shows the picture and does not give its original away."),
    "link_invalid": (403, "The link's signature is wrong or it has expired."),
    "permission_denied": (403, "This caller may not do this."),
    "scope_missing": (403, "The API key is good for other calls."),
    "wrong_password": (403, "The password is not the account's."),
    "api_key_not_found": (404, "No such API key, or it belongs to somebody else."),
    "not_found": (404, "There is nothing here."),
    "recipe_unknown": (404, "Nobody noted what this picture was painted from."),
    "result_not_found": (404, "No such result, or it belongs to somebody else."),
    "session_not_found": (404, "No such session, or it belongs to somebody else."),
    "share_not_found": (404, "No such link, or it belongs to somebody else."),
    "task_not_found": (404, "No such task, or it belongs to somebody else."),
    "user_not_found": (404, "The account no longer exists."),
    "worker_not_found": (404, "No such worker."),
    "method_not_allowed": (405, "This path does not know this method."),
    "aborted": (409, "Something else changed it at the same time."),
    "already_exists": (409, "It exists already."),
    "email_taken": (409, "Another account has this e-mail address."),
    "failed_precondition": (409, "Its state does not allow this."),
    "model_unavailable": (409, "The model is switched off, or no worker has its files."),
    "storage_full": (409, "The account's pictures take all the storage that they may."),
    "task_finished": (409, "The task has already completed or failed."),
    "username_taken": (409, "Another account has this username."),
    "data_loss": (410, "The data is lost."),
    "picture_lost": (410, "The picture's bytes are lost."),
    "share_ended": (410, "The link has expired or been revoked, or its picture was deleted."),
    "content_too_large": (413, "The body is larger than 1 MiB."),
    "unsupported_media_type": (415, "The body's Content-Type must be application/json."),
    "range_not_satisfiable": (416, "The picture has none of the bytes that were asked for."),
    "invalid_argument": (422, "The request breaks a rule."),
    "invalid_cursor": (422, "The cursor was not made by this service."),
    "invalid_field": (422, "A field breaks a rule."),
    "model_unknown": (422, "No such model."),
    "out_of_range": (422, "A value is out of range."),
    "parameter_out_of_range": (422, "A parameter is outside what the model allows."),
    "request_id_reused": (422, "The Idempotency-Key was used before, for another request."),
    "rate_limited": (429, "Too many requests."),
    "resource_exhausted": (429, "Too much was asked for."),
    "too_many_api_keys": (429, "The account has as many API keys as it may."),
    "too_many_attempts": (429, "Too many attempts."),
    "too_many_downloads": (429, "Too many pictures are being downloaded at once."),
    "too_many_shares": (429, "The picture has as many links as it may."),
    "too_many_streams": (429, "Too many streams of all tasks are open."),
    "user_queue_full": (429, "Too many unfinished tasks."),
    "headers_too_large": (431, "The request's headers are too large."),
    "internal": (500, "An internal error; it has been logged."),
    "unknown": (500, "An internal error; it has been logged."),
    "unimplemented": (501, "The service does not know this call."),
    "cancelled": (503, "The call was broken off; a retry helps."),
    "dependency_unavailable": (503, "Something that the service stands on is away; a retry helps."),
    "not_ready": (503, "A service behind the gateway does not answer."),
    "unavailable": (503, "The service is away for the moment; a retry helps."),
    "deadline_exceeded": (504, "The service did not answer in time."),
}
"""Code → HTTP status, and what it means."""

EVERYWHERE = ("internal", "dependency_unavailable", "unavailable", "deadline_exceeded")
SIGNED_IN = ("token_missing", "token_invalid", "token_expired", "token_revoked", "scope_missing")
WITH_BODY = ("malformed_json", "content_too_large", "unsupported_media_type", "invalid_field")

_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""As RFC 9110 has them; Python 3.11's http module still says it in the words of RFC 7231."""

_CHALLENGES = {
    **dict.fromkeys(("token_invalid", "token_expired", "token_revoked"), "invalid_token"),
    "scope_missing": "insufficient_scope",
}
"""Code → `error` of a challenge (RFC 6750 §3.1)."""


class FieldError(BaseModel):
    """What is wrong with one part of the request. Exactly one of `pointer`, `parameter` and `header` says which
    part (the members of JSON:API's `source`).
    """

    pointer: str | None = Field(None, description="JSON Pointer (RFC 6901, as a URI fragment) into the request's body.")
    parameter: str | None = Field(None, description="Name of a query parameter.")
    header: str | None = Field(None, description="Name of a request header.")
    detail: str

    @property
    def name(self) -> str:
        return self.parameter or self.header or (self.pointer or "").rpartition("/")[2]


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="URI of a page that says what the code means and what to do; else `about:blank`.")
    title: str = Field(description="The status's own name.")
    status: int
    detail: str = Field(description="One sentence for a person.")
    code: str = Field(description="For programs: one of a fixed list, stable.")
    errors: list[FieldError] = Field(default=[], description="The parts of the request that are wrong, if known.")
    request_id: str = Field(description="Quote it when you report the error; the logs carry it.")


def problem(
    request: Request,
    code: str,
    *,
    status: int | None = None,
    detail: str | None = None,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response for an error; status and detail default to what `CODES` says of the code. OpenAI's paths have
    its shape instead, and what share links open is a page.
    """
    status = status or CODES[code][0]
    detail = detail or CODES[code][1]
    body = Problem(
        type=f"{public_origin(request)}/problems/{code}" if code in CODES else "about:blank",
        title=title_of(status),
        status=status,
        detail=detail,
        code=code,
        errors=list(errors),
        request_id=request_id(),
    )
    sent = dict(headers or {})
    if status == 401 or code in _CHALLENGES:
        sent["WWW-Authenticate"] = _challenge(code)
    if status == 503:
        sent.setdefault("Retry-After", "1")
    if request.scope["path"].startswith(PATHS):
        wrong = [(error.name, error.detail) for error in errors]
        return openai_error(status, code, detail, wrong=wrong, headers=sent)
    if request.scope["path"].startswith(share_page.PATHS):
        if not prefers_json(request.headers.get("accept", "")):
            return share_page.refusal_page(request, status, code, sent)
        sent |= share_page.HEADERS
    return Response(body.model_dump_json(exclude_none=True), status, sent, MEDIA_TYPE)


def _challenge(code: str) -> str:
    """RFC 6750 §3: who sent no token is told nothing but the scheme."""
    challenge = 'Bearer realm="imagegen"'
    if code in _CHALLENGES:
        challenge += f', error="{_CHALLENGES[code]}", error_description="{CODES[code][1]}"'
    return challenge


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these codes, each with an example, for OpenAPI."""
    content: dict[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    described: dict[int | str, dict[str, Any]] = {"default": {"description": "Any other error.", "content": content}}
    for code in sorted({*codes, *EVERYWHERE}, key=lambda code: CODES[code][0]):
        status, detail = CODES[code]
        example = Problem(
            type=f"https://pictures.example.org/problems/{code}",
            title=title_of(status),
            status=status,
            detail=detail,
            code=code,
            request_id=_EXAMPLE_ID,
        )
        if code == "invalid_field":
            example.errors = [FieldError(pointer="#/field", detail="must not be blank")]
        empty = {"description": title_of(status), "content": {MEDIA_TYPE: {**content[MEDIA_TYPE], "examples": {}}}}
        examples = described.setdefault(status, empty)["content"][MEDIA_TYPE]["examples"]
        examples[code] = {"summary": detail, "value": example.model_dump(exclude_none=True)}
    return described


_EXAMPLE_ID = "01981f5e-7c1a-7d2b-9a63-3f0c8e5b4d21"


def title_of(status: int) -> str:
    return _TITLES.get(status) or HTTPStatus(status).phrase
