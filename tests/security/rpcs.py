"""Every RPC, and what it needs."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.auth.v1 import identity_service_pb2 as identity
from imagegen.executor.v1 import executor_service_pb2 as executor
from imagegen.executor.v1 import operator_service_pb2 as operators
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.results.v1 import quota_service_pb2 as quota
from imagegen.results.v1 import recipe_pb2
from imagegen.results.v1 import results_service_pb2 as results
from imagegen.results.v1 import share_service_pb2 as shares
from imagegen.results.v1 import storage_service_pb2 as storage
from imagegen.results.v1 import store_service_pb2 as store
from imagegen.runtime.v1 import access_pb2

from tests.accounts import PICTURE
from tests.grpc_errors import reason
from tests.security.rest import new_account
from tests.security.rows import Owner, Row, Who

VISITOR, PERSON, OPERATOR, SERVICE = Who.VISITOR, Who.PERSON, Who.OPERATOR, Who.SERVICE

CALL_SECONDS = 20.0
QUIET = {"imagegen.executor.v1.ExecutorService/WatchTransitions": 5.0}
"""Says nothing to who is let in until some job changes: how long it is listened to."""


@cache
def every_rpc() -> Mapping[str, MethodDescriptor]:
    """`imagegen.X.v1.YService/Z` → its descriptor, from all the contracts that there are."""
    generated = Path(access_pb2.__file__).parents[2]
    modules = (path.relative_to(generated.parent).with_suffix("") for path in generated.rglob("*_service_pb2.py"))
    files = [import_module(".".join(module.parts)).DESCRIPTOR for module in modules]
    return {
        f"{service.full_name}/{method.name}": method
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    }


def call(channel: grpc.Channel, operation: str, request: Any, token: str) -> tuple[str, str]:
    """The reason that it was refused with, in lower case, empty if it was answered, and what was answered, as text.

    `request` is a message, or a list of them for a client stream. Of a server stream the first message is read.
    """
    method = every_rpc()[operation]
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    ask = getattr(channel, kind)(
        f"/{operation}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    sent = iter(request) if method.client_streaming else request
    try:
        answer = ask(sent, metadata=metadata, timeout=QUIET.get(operation, CALL_SECONDS))
        if method.server_streaming:
            stream, answer = answer, next(answer)
            stream.cancel()
    except grpc.RpcError as error:
        return reason(error).lower() or str(error.code()), str(error.details())
    return "", str(answer)


def _register(owner: Owner) -> auth.RegisterRequest:
    return auth.RegisterRequest(**new_account())


def _login(owner: Owner) -> auth.LoginRequest:
    return auth.LoginRequest(username=owner.account.name, password=owner.account.password)


def _change(owner: Owner) -> auth.ChangePasswordRequest:
    return auth.ChangePasswordRequest(current_password=owner.account.password, new_password=owner.account.password)


def _key(owner: Owner) -> auth.CreateApiKeyRequest:
    return auth.CreateApiKeyRequest(name="mine", scopes=[access_pb2.SCOPE_READ])


def _task(owner: Owner) -> generation.CreateTaskRequest:
    return generation.CreateTaskRequest(prompt="a fox", request_id=owner.account.id, **PICTURE)


RECIPE = recipe_pb2.Recipe(model="sd15", prompt="a fox", width=64, height=64, steps=1, cfg=7.0, count=1)


def _picture(owner: Owner) -> list[store.StoreResultRequest]:
    header = store.StoreResultHeader(
        task_id=str(uuid4()), owner_id=owner.account.id, index=0, size_bytes=1, sha256=64 * "0", recipe=RECIPE
    )
    return [store.StoreResultRequest(header=header), store.StoreResultRequest(chunk=b"x")]


_AUTH = {
    "Register": Row(VISITOR, _register),
    "Login": Row(VISITOR, _login),
    "Refresh": Row(VISITOR, lambda owner: auth.RefreshRequest(refresh_token=owner.refresh_token)),
    "GetJwks": Row(VISITOR, lambda owner: auth.GetJwksRequest()),
    "Logout": Row(PERSON, lambda owner: auth.LogoutRequest()),
    "GetMe": Row(PERSON, lambda owner: auth.GetMeRequest(), "read"),
    "UpdateMe": Row(PERSON, lambda owner: auth.UpdateMeRequest(email=f"{uuid4()}@example.com")),
    "DeleteMe": Row(
        PERSON, lambda owner: auth.DeleteMeRequest(password=owner.account.password), other="wrong_password"
    ),
    "ChangePassword": Row(PERSON, _change, other="wrong_password"),
    "ListSessions": Row(PERSON, lambda owner: auth.ListSessionsRequest()),
    "EndSession": Row(
        PERSON, lambda owner: auth.EndSessionRequest(session_id=owner.session), other="session_not_found"
    ),
    "LogoutEverywhere": Row(PERSON, lambda owner: auth.LogoutEverywhereRequest()),
    "CreateApiKey": Row(PERSON, _key),
    "ListApiKeys": Row(PERSON, lambda owner: auth.ListApiKeysRequest()),
    "RevokeApiKey": Row(
        PERSON, lambda owner: auth.RevokeApiKeyRequest(api_key_id=owner.key), other="api_key_not_found"
    ),
}

_IDENTITY = {
    "ExchangeApiKey": Row(
        SERVICE,
        lambda owner: identity.ExchangeApiKeyRequest(api_key=owner.account.api_key(["read"]).secret),
        services=("generation", "executor", "results", "gateway"),
    ),
    "WatchRevocations": Row(
        SERVICE,
        lambda owner: identity.WatchRevocationsRequest(),
        services=("generation", "executor", "results", "gateway"),
    ),
    "ListErasures": Row(
        SERVICE, lambda owner: identity.ListErasuresRequest(), services=("generation", "executor", "results")
    ),
    "AcknowledgeErasure": Row(
        SERVICE,
        lambda owner: identity.AcknowledgeErasureRequest(user_id=str(uuid4())),
        services=("generation", "executor", "results"),
    ),
}

_GENERATION = {
    "CreateTask": Row(PERSON, _task, "generate"),
    "GetTask": Row(PERSON, lambda owner: generation.GetTaskRequest(task_id=owner.task["id"]), "read", "task_not_found"),
    "ListTasks": Row(PERSON, lambda owner: generation.ListTasksRequest(), "read"),
    "CancelTask": Row(
        PERSON,
        lambda owner: generation.CancelTaskRequest(task_id=owner.unfinished["id"]),
        "generate",
        "task_not_found",
    ),
    "WatchTask": Row(
        PERSON, lambda owner: generation.WatchTaskRequest(task_id=owner.task["id"]), "read", "task_not_found"
    ),
    "WatchTasks": Row(PERSON, lambda owner: generation.WatchTasksRequest(), "read"),
    "ListModels": Row(VISITOR, lambda owner: generation.ListModelsRequest(), "read"),
    "SuggestPrompts": Row(PERSON, lambda owner: generation.SuggestPromptsRequest(text="a"), "read"),
}

_RESULTS = {
    "GetResult": Row(
        PERSON, lambda owner: results.GetResultRequest(result_id=owner.result["id"]), "read", "result_not_found"
    ),
    "ListResults": Row(PERSON, lambda owner: results.ListResultsRequest(task_ids=[owner.task["id"]]), "read"),
    "DeleteResult": Row(
        PERSON,
        lambda owner: results.DeleteResultRequest(result_id=owner.doomed["id"]),
        "generate",
        "result_not_found",
    ),
    "GetRecipe": Row(
        PERSON, lambda owner: results.GetRecipeRequest(result_id=owner.result["id"]), "read", "result_not_found"
    ),
    "SetFavorite": Row(
        PERSON,
        lambda owner: results.SetFavoriteRequest(result_id=owner.result["id"], favorite=True),
        "generate",
        "result_not_found",
    ),
    "BatchDeleteResults": Row(
        PERSON, lambda owner: results.BatchDeleteResultsRequest(result_ids=[owner.doomed["id"]]), "generate"
    ),
    "DownloadResult": Row(
        PERSON, lambda owner: results.DownloadResultRequest(result_id=owner.result["id"]), "read", "result_not_found"
    ),
}


def _token(owner: Owner) -> str:
    return owner.link.rpartition("/")[2]


_SHARES = {
    "CreateShare": Row(
        PERSON, lambda owner: shares.CreateShareRequest(result_id=owner.result["id"]), "share", "result_not_found"
    ),
    "ListShares": Row(
        PERSON, lambda owner: shares.ListSharesRequest(result_id=owner.share["result_id"]), "share", "result_not_found"
    ),
    "UpdateShare": Row(
        PERSON, lambda owner: shares.UpdateShareRequest(share_id=owner.share["id"]), "share", "share_not_found"
    ),
    "RevokeShare": Row(
        PERSON, lambda owner: shares.RevokeShareRequest(share_id=owner.share["id"]), "share", "share_not_found"
    ),
    "OpenShare": Row(VISITOR, lambda owner: shares.OpenShareRequest(token=_token(owner))),
    "UnlockShare": Row(VISITOR, lambda owner: shares.UnlockShareRequest(token=_token(owner))),
    "DownloadShare": Row(VISITOR, lambda owner: shares.DownloadShareRequest(token=_token(owner))),
}

_STORE = {
    "StoreResult": Row(SERVICE, _picture, services=("worker",)),
    "DiscardResults": Row(
        SERVICE,
        lambda owner: store.DiscardResultsRequest(task_id=str(uuid4()), owner_id=owner.account.id),
        services=("worker",),
    ),
}

_STORAGE = {"GetStorage": Row(PERSON, lambda owner: storage.GetStorageRequest(), "read")}

_QUOTA = {
    "CheckQuota": Row(
        SERVICE, lambda owner: quota.CheckQuotaRequest(owner_id=owner.account.id), services=("generation",)
    ),
}


def _job(owner: Owner) -> dict[str, Any]:
    return {"job_id": str(uuid4()), "owner_id": owner.account.id}


_EXECUTOR = {
    name: Row(SERVICE, ask, services=("generation",))
    for name, ask in {
        "SubmitJob": lambda owner: executor.SubmitJobRequest(**_job(owner), model="no such model", spec={}),
        "EstimateJob": lambda owner: executor.EstimateJobRequest(
            owner_id=owner.account.id, model="no such model", spec={}
        ),
        "CancelJob": lambda owner: executor.CancelJobRequest(**_job(owner)),
        "BatchGetJobs": lambda owner: executor.BatchGetJobsRequest(),
        "WatchJob": lambda owner: executor.WatchJobRequest(job_id=str(uuid4())),
        "WatchTransitions": lambda owner: executor.WatchTransitionsRequest(),
        "ListModels": lambda owner: executor.ListModelsRequest(),
    }.items()
}

_OPERATORS = {
    name: Row(OPERATOR, ask, "admin", services=("operator",))
    for name, ask in {
        "ListWorkers": lambda owner: operators.ListWorkersRequest(),
        "DrainWorker": lambda owner: operators.DrainWorkerRequest(engine_id=owner.engine_id),
        "ResumeWorker": lambda owner: operators.ResumeWorkerRequest(engine_id=owner.engine_id),
        "ListQueues": lambda owner: operators.ListQueuesRequest(),
        "ListOwners": lambda owner: operators.ListOwnersRequest(),
        "UpdateOwner": lambda owner: operators.UpdateOwnerRequest(owner_id=owner.account.id, weight=1.0),
    }.items()
}


def _named() -> Iterator[tuple[str, Row]]:
    for service, rows in {
        "auth.v1.AuthService": _AUTH,
        "auth.v1.IdentityService": _IDENTITY,
        "generation.v1.GenerationService": _GENERATION,
        "results.v1.ResultsService": _RESULTS,
        "results.v1.ShareService": _SHARES,
        "results.v1.StoreService": _STORE,
        "results.v1.StorageService": _STORAGE,
        "results.v1.QuotaService": _QUOTA,
        "executor.v1.ExecutorService": _EXECUTOR,
        "executor.v1.OperatorService": _OPERATORS,
    }.items():
        for method, row in rows.items():
            yield f"imagegen.{service}/{method}", row


ROWS: Mapping[str, Row] = dict(_named())
