"""Every REST operation, and what it needs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from tests.accounts import PICTURE
from tests.security.rows import Owner, Row, Who

ANYBODY, VISITOR, PERSON, OPERATOR = Who.ANYBODY, Who.VISITOR, Who.PERSON, Who.OPERATOR


@dataclass(frozen=True)
class Request:
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def call(http: httpx.Client, operation: str, request: Request, token: str) -> tuple[str, str]:
    """The code that it was refused with, empty if it was answered, and what was answered, as text.

    Streams are read up to their first bytes.
    """
    headers = {**request.headers, **({"authorization": f"Bearer {token}"} if token else {})}
    method = operation.partition(" ")[0]
    with http.stream(method, request.path, json=request.body, headers=headers) as answer:
        is_stream = answer.headers.get("content-type", "").startswith("text/event-stream")
        read = next(answer.iter_bytes(), b"") if is_stream else answer.read()
    if answer.status_code < 400:
        return "", read.decode("utf-8", "replace")
    problem = json.loads(read)
    return problem["error"]["code"] if "error" in problem else problem["code"], read.decode()


def new_account() -> dict[str, str]:
    name = f"user-{uuid4().hex[:12]}"
    return {"username": name, "email": f"{name}@example.com", "password": f"the password of {uuid4()}"}


def _credentials(owner: Owner) -> dict[str, str]:
    return {"username": owner.account.name, "password": owner.account.password}


def _change(owner: Owner) -> dict[str, str]:
    return {"current_password": owner.account.password, "new_password": owner.account.password}


def _shares(owner: Owner) -> Request:
    assert owner.share, "a link that an answer to somebody else could give away"
    return Request("/api/v1/shares")


AUTH, TASKS, ADMIN = "/api/v1/auth", "/api/v1/generation/tasks", "/api/v1/admin"

ROWS: Mapping[str, Row] = {
    # What lets in is in the body: whose token is sent along, or whether it is good, says nothing.
    f"POST {AUTH}/register": Row(ANYBODY, lambda owner: Request(f"{AUTH}/register", new_account())),
    f"POST {AUTH}/login": Row(ANYBODY, lambda owner: Request(f"{AUTH}/login", _credentials(owner))),
    f"POST {AUTH}/refresh": Row(
        ANYBODY, lambda owner: Request(f"{AUTH}/refresh", {"refresh_token": owner.refresh_token})
    ),
    "GET /.well-known/jwks.json": Row(ANYBODY, lambda owner: Request("/.well-known/jwks.json")),
    "GET /healthz": Row(ANYBODY, lambda owner: Request("/healthz")),
    "GET /readyz": Row(ANYBODY, lambda owner: Request("/readyz")),
    # The account, its sessions and its keys: no API key may change them.
    f"GET {AUTH}/me": Row(PERSON, lambda owner: Request(f"{AUTH}/me"), "read"),
    f"PATCH {AUTH}/me": Row(PERSON, lambda owner: Request(f"{AUTH}/me", {"email": f"{uuid4()}@example.com"})),
    f"DELETE {AUTH}/me": Row(
        PERSON, lambda owner: Request(f"{AUTH}/me", {"password": owner.account.password}), other="wrong_password"
    ),
    f"GET {AUTH}/me/export": Row(PERSON, lambda owner: Request(f"{AUTH}/me/export")),
    f"POST {AUTH}/password": Row(
        PERSON, lambda owner: Request(f"{AUTH}/password", _change(owner)), other="wrong_password"
    ),
    f"POST {AUTH}/logout": Row(PERSON, lambda owner: Request(f"{AUTH}/logout")),
    f"GET {AUTH}/sessions": Row(PERSON, lambda owner: Request(f"{AUTH}/sessions")),
    f"DELETE {AUTH}/sessions": Row(PERSON, lambda owner: Request(f"{AUTH}/sessions")),
    f"DELETE {AUTH}/sessions/{{session_id}}": Row(
        PERSON, lambda owner: Request(f"{AUTH}/sessions/{owner.session}"), other="session_not_found"
    ),
    f"GET {AUTH}/keys": Row(PERSON, lambda owner: Request(f"{AUTH}/keys")),
    f"POST {AUTH}/keys": Row(PERSON, lambda owner: Request(f"{AUTH}/keys", {"name": "mine", "scopes": ["read"]})),
    f"DELETE {AUTH}/keys/{{api_key_id}}": Row(
        PERSON, lambda owner: Request(f"{AUTH}/keys/{owner.key}"), other="api_key_not_found"
    ),
    # Tasks and pictures.
    "GET /api/v1/models": Row(VISITOR, lambda owner: Request("/api/v1/models"), "read"),
    "POST /api/v1/generation/generate": Row(
        PERSON,
        lambda owner: Request(
            "/api/v1/generation/generate",
            {"prompt": "a fox", **PICTURE},
            {"Idempotency-Key": owner.account.id},
        ),
        "generate",
    ),
    "GET /api/v1/generation/history": Row(PERSON, lambda owner: Request("/api/v1/generation/history"), "read"),
    "GET /api/v1/generation/events": Row(PERSON, lambda owner: Request("/api/v1/generation/events"), "read"),
    "GET /api/v1/generation/suggestions": Row(
        PERSON, lambda owner: Request("/api/v1/generation/suggestions?q=a"), "read"
    ),
    f"GET {TASKS}/{{task_id}}": Row(
        PERSON, lambda owner: Request(f"{TASKS}/{owner.task['id']}"), "read", "task_not_found"
    ),
    f"GET {TASKS}/{{task_id}}/events": Row(
        PERSON, lambda owner: Request(f"{TASKS}/{owner.task['id']}/events"), "read", "task_not_found"
    ),
    f"POST {TASKS}/{{task_id}}/cancel": Row(
        PERSON, lambda owner: Request(f"{TASKS}/{owner.unfinished['id']}/cancel"), "generate", "task_not_found"
    ),
    "GET /api/v1/results/storage": Row(PERSON, lambda owner: Request("/api/v1/results/storage"), "read"),
    "GET /api/v1/results/{result_id}": Row(
        PERSON, lambda owner: Request(f"/api/v1/results/{owner.result['id']}"), "read", "result_not_found"
    ),
    "GET /api/v1/results/{result_id}/image": Row(
        PERSON, lambda owner: Request(f"/api/v1/results/{owner.result['id']}/image"), "read", "result_not_found"
    ),
    "DELETE /api/v1/results/{result_id}": Row(
        PERSON, lambda owner: Request(f"/api/v1/results/{owner.doomed['id']}"), "generate", "result_not_found"
    ),
    "GET /api/v1/results": Row(PERSON, lambda owner: Request("/api/v1/results"), "read"),
    "GET /api/v1/results/{result_id}/recipe": Row(
        PERSON, lambda owner: Request(f"/api/v1/results/{owner.result['id']}/recipe"), "read", "result_not_found"
    ),
    **{
        f"{verb} /api/v1/results/{{result_id}}/favorite": Row(
            PERSON,
            lambda owner: Request(f"/api/v1/results/{owner.result['id']}/favorite"),
            "generate",
            "result_not_found",
        )
        for verb in ("PUT", "DELETE")
    },
    # The answer names the ids that it was sent: another's picture would look like a leak. The RPC is tried with one.
    "POST /api/v1/results/delete": Row(
        PERSON, lambda owner: Request("/api/v1/results/delete", {"ids": [str(uuid4())]}), "generate"
    ),
    "POST /api/v1/results/archive": Row(
        PERSON,
        lambda owner: Request("/api/v1/results/archive", {"ids": [owner.result["id"]]}),
        "read",
        "result_not_found",
    ),
    # Share links: what they open is for anybody.
    "POST /api/v1/results/{result_id}/shares": Row(
        PERSON, lambda owner: Request(f"/api/v1/results/{owner.result['id']}/shares", {}), "share", "result_not_found"
    ),
    "GET /api/v1/results/{result_id}/shares": Row(
        PERSON, lambda owner: Request(f"/api/v1/results/{owner.share['result_id']}/shares"), "share", "result_not_found"
    ),
    "GET /api/v1/shares": Row(PERSON, _shares, "share"),
    "PATCH /api/v1/shares/{share_id}": Row(
        PERSON,
        lambda owner: Request(f"/api/v1/shares/{owner.share['id']}", {"hide_prompt": True}),
        "share",
        "share_not_found",
    ),
    "DELETE /api/v1/shares/{share_id}": Row(
        PERSON, lambda owner: Request(f"/api/v1/shares/{owner.share['id']}"), "share", "share_not_found"
    ),
    "GET /s/{token}": Row(ANYBODY, lambda owner: Request(owner.link)),
    "POST /s/{token}": Row(ANYBODY, lambda owner: Request(owner.link)),
    "GET /s/{token}/image": Row(ANYBODY, lambda owner: Request(f"{owner.link}/image")),
    "GET /share-page.css": Row(ANYBODY, lambda owner: Request("/share-page.css")),
    # Operators.
    f"GET {ADMIN}/workers": Row(OPERATOR, lambda owner: Request(f"{ADMIN}/workers"), "admin"),
    f"POST {ADMIN}/workers/{{engine_id}}/drain": Row(
        OPERATOR, lambda owner: Request(f"{ADMIN}/workers/{owner.engine_id}/drain"), "admin"
    ),
    f"POST {ADMIN}/workers/{{engine_id}}/resume": Row(
        OPERATOR, lambda owner: Request(f"{ADMIN}/workers/{owner.engine_id}/resume"), "admin"
    ),
    f"GET {ADMIN}/queues": Row(OPERATOR, lambda owner: Request(f"{ADMIN}/queues"), "admin"),
    f"GET {ADMIN}/owners": Row(OPERATOR, lambda owner: Request(f"{ADMIN}/owners"), "admin"),
    f"PATCH {ADMIN}/owners/{{owner_id}}": Row(
        OPERATOR, lambda owner: Request(f"{ADMIN}/owners/{owner.account.id}", {"weight": 1.0}), "admin"
    ),
    # The door of OpenAI's SDKs: not in our document, for it is described by theirs.
    "GET /v1/models": Row(VISITOR, lambda owner: Request("/v1/models"), "read"),
    "GET /v1/models/{model}": Row(VISITOR, lambda owner: Request("/v1/models/sd15"), "read"),
    "POST /v1/images/generations": Row(
        PERSON,
        lambda owner: Request("/v1/images/generations", {"prompt": "a fox", "model": "sd15", "n": 1, "size": "64x64"}),
        "generate read",
    ),
}
