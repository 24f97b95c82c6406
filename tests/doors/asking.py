"""One call through each door: REST, gRPC and gRPC-web, binary and text; what is answered, in the contracts' words."""

from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from imagegen.auth.v1 import auth_service_pb2
from imagegen.generation.v1 import generation_service_pb2
from imagegen.results.v1 import results_service_pb2

from gateway.errors import HTTP_STATUS
from tests.doors import grpc_web
from tests.doors.contents import as_json
from tests.doors.scenarios import REASONS, World

CONTRACTS = {
    "AuthService": auth_service_pb2,
    "GenerationService": generation_service_pb2,
    "ResultsService": results_service_pb2,
}
REST = {
    "GetMe": ("GET", "/api/v1/auth/me"),
    "CreateTask": ("POST", "/api/v1/generation/generate"),
    "GetTask": ("GET", "/api/v1/generation/tasks/{task_id}"),
    "CancelTask": ("POST", "/api/v1/generation/tasks/{task_id}/cancel"),
    "ListTasks": ("GET", "/api/v1/generation/history"),
    "ListModels": ("GET", "/api/v1/models"),
    "SuggestPrompts": ("GET", "/api/v1/generation/suggestions"),
    "GetResult": ("GET", "/api/v1/results/{result_id}"),
    "DeleteResult": ("DELETE", "/api/v1/results/{result_id}"),
}
PARAMETERS = {"page_token": "cursor", "page_size": "limit", "text": "q"}
"""Fields that REST's queries call otherwise."""


@dataclass(frozen=True)
class Told:
    """What a door answered, in the contracts' words. `content` is what REST's JSON would be."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = ""
    wrong: dict[str, str] = field(default_factory=dict)
    """Of each field that is wrong, what is."""
    content: Any = None


def by_rest(world: "World", method: str, request: dict[str, Any], token: str) -> Told:
    verb, path = REST[method]
    named = {name: request[name] for name in request if f"{{{name}}}" in path}
    others = {name: value for name, value in request.items() if name not in named}
    headers = {"authorization": f"Bearer {token}"} if token else {}
    if "request_id" in others:
        headers["idempotency-key"] = others.pop("request_id")
    body: dict[str, Any] = {"json": others} if verb == "POST" and others else {}
    if verb == "GET":
        body = {"params": {PARAMETERS.get(name, name): value for name, value in others.items()}}
    response = world.http.request(verb, path.format(**named), headers=headers, **body)
    if response.is_success:
        return Told(grpc.StatusCode.OK, content=response.json() if response.content else {})
    problem = response.json()
    assert problem["status"] == response.status_code
    assert response.headers["content-type"] == "application/problem+json"
    contract = {shown: name for name, shown in PARAMETERS.items()} | {"Idempotency-Key": "request_id"}
    wrong = {
        error.get("parameter") or error.get("header") or error["pointer"].removeprefix("#/"): error["detail"]
        for error in problem["errors"]
    }
    return Told(
        _code_of(response.status_code, problem["code"]),
        problem["code"].upper(),
        problem["detail"],
        {contract.get(name, name): text for name, text in wrong.items()},
    )


def _code_of(status: int, code: str) -> grpc.StatusCode:
    """Several codes share a status; the one that the scenario expects is told apart by the reason."""
    return next(
        known for known, (shown, _) in HTTP_STATUS.items() if shown == status and known in REASONS[code.upper()]
    )


def by_grpc(world: "World", method: str, request: dict[str, Any], token: str) -> Told:
    path, message, answer = contract(method, request)
    call = world.channel.unary_unary(path, type(message).SerializeToString, answer.FromString)
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    try:
        return Told(grpc.StatusCode.OK, content=as_json(call(message, metadata=metadata, timeout=20)))
    except grpc.RpcError as error:
        return _refused(error.code(), rpc_status.from_call(error))


def by_grpc_web(world: "World", method: str, request: dict[str, Any], token: str, *, text: bool = False) -> Told:
    path, message, answer = contract(method, request)
    try:
        told = grpc_web.call(world.http, path, message, answer, token=token, text=text)
        return Told(grpc.StatusCode.OK, content=as_json(told))
    except grpc_web.Failed as failed:
        return _refused(failed.code, failed.status)


def by_grpc_web_text(world: "World", method: str, request: dict[str, Any], token: str) -> Told:
    return by_grpc_web(world, method, request, token, text=True)


DOORS = (by_rest, by_grpc, by_grpc_web, by_grpc_web_text)


def contract(method: str, request: dict[str, Any]) -> tuple[str, Any, type]:
    for service, module in CONTRACTS.items():
        described = module.DESCRIPTOR.services_by_name[service]
        if method in described.methods_by_name:
            path = f"/{described.full_name}/{method}"
            return path, getattr(module, f"{method}Request")(**request), getattr(module, f"{method}Response")
    raise AssertionError(method)


def _refused(code: grpc.StatusCode, status: Any) -> Told:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    wrong = {violation.field: violation.description for violation in bad.field_violations}
    return Told(code, info.reason, status.message, wrong)
