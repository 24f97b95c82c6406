"""API keys: access for programs, within scopes."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Response
from google.protobuf.duration_pb2 import Duration
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.runtime.v1 import access_pb2
from pydantic import ConfigDict, Field

from gateway.bodies import Answer, Body
from gateway.clients import CallsDependency
from gateway.idempotency import REPLAYED, IdempotencyKey, replayed
from gateway.problems import SIGNED_IN, WITH_BODY, problems
from gateway.security import signed_in
from services.runtime.protos import from_enum, from_timestamp, to_enum

router = APIRouter(prefix="/api/v1/auth/keys", tags=["auth"], dependencies=[signed_in])

Scope = Literal["generate", "read", "share", "admin"]
Seconds = Annotated[int, Field(ge=60, le=5 * 365 * 24 * 60 * 60)]


class ApiKeyRequest(Body):
    """`admin` is for operators only. `expires_in` is in seconds; left out, the key does not expire."""

    contract = auth.CreateApiKeyRequest
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "nightly job", "scopes": ["generate", "read"], "expires_in": 7_776_000}]
        }
    )

    name: str
    scopes: list[Scope]
    expires_in: Seconds | None = None


class ApiKey(Answer):
    """What is kept of a key."""

    id: str
    name: str
    scopes: list[Scope]
    prefix: str
    """The secret's first characters, to recognise it by."""
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """Up to ten minutes late."""
    revoked_at: datetime | None

    @staticmethod
    def fields_of(key: auth.ApiKey) -> dict[str, Any]:
        return {
            "id": key.id,
            "name": key.name,
            "scopes": [from_enum(access_pb2.Scope, scope) for scope in key.scopes],
            "prefix": key.prefix,
            "created_at": from_timestamp(key.create_time),
            "expires_at": from_timestamp(key.expire_time) if key.HasField("expire_time") else None,
            "last_used_at": from_timestamp(key.last_use_time) if key.HasField("last_use_time") else None,
            "revoked_at": from_timestamp(key.revoke_time) if key.HasField("revoke_time") else None,
        }

    @classmethod
    def from_proto(cls, key: auth.ApiKey) -> Self:
        return cls(**cls.fields_of(key))


class NewApiKey(ApiKey):
    """A key that has just been made."""

    key: str | None
    """The secret, a bearer token at every door. Shown this once; null in a repeat."""
    secret_shown: bool


class ApiKeys(Answer):
    keys: list[ApiKey]


@router.post(
    "",
    status_code=201,
    responses={
        201: {"headers": REPLAYED},
        **problems(*WITH_BODY, *SIGNED_IN, "request_id_reused", "too_many_api_keys", "user_not_found"),
    },
)
async def create_api_key(
    body: ApiKeyRequest, calls: CallsDependency, response: Response, idempotency_key: IdempotencyKey = ""
) -> NewApiKey:
    """Make a key. Its secret is shown once, in this answer."""
    request = auth.CreateApiKeyRequest(
        request_id=idempotency_key,
        name=body.name,
        scopes=[to_enum(access_pb2.Scope, scope) for scope in body.scopes],
        expires_in=Duration(seconds=body.expires_in) if body.expires_in is not None else None,
    )
    answer = await calls.unary(calls.auth.CreateApiKey, request)
    response.headers.update(replayed(answer.replayed))
    return NewApiKey(**ApiKey.fields_of(answer.api_key), key=answer.secret or None, secret_shown=bool(answer.secret))


@router.get("", responses=problems(*SIGNED_IN))
async def list_api_keys(calls: CallsDependency) -> ApiKeys:
    """The caller's keys, newest first; revoked and expired ones for another thirty days."""
    answer = await calls.unary(calls.auth.ListApiKeys, auth.ListApiKeysRequest())
    return ApiKeys(keys=[ApiKey.from_proto(key) for key in answer.api_keys])


@router.delete("/{api_key_id}", status_code=204, responses=problems(*SIGNED_IN, "api_key_not_found"))
async def revoke_api_key(api_key_id: UUID, calls: CallsDependency) -> None:
    """End a key. It counts no longer, everywhere within a second."""
    await calls.unary(calls.auth.RevokeApiKey, auth.RevokeApiKeyRequest(api_key_id=str(api_key_id)))
