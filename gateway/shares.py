"""Share links, as the owners of pictures make, change and end them. What a link opens is in gateway/share_links.py."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Query, Response
from google.protobuf.duration_pb2 import Duration
from imagegen.results.v1 import share_pb2
from imagegen.results.v1 import share_service_pb2 as shares
from pydantic import ConfigDict, Field

from gateway.bodies import Answer, Body, NoNul
from gateway.clients import Calls, CallsDependency
from gateway.idempotency import REPLAYED, IdempotencyKey, replayed
from gateway.origins import Origin
from gateway.problems import SIGNED_IN, WITH_BODY, problems
from gateway.security import signed_in
from services.runtime.protos import from_timestamp

router = APIRouter(prefix="/api/v1", tags=["shares"], dependencies=[signed_in])

Seconds = Annotated[int, Field(ge=1, le=5 * 365 * 24 * 60 * 60)]
Limit = Annotated[int, Query(ge=1, le=100, description="Links on a page.")]
Cursor = Annotated[NoNul, Query(max_length=256, description="`next_cursor` of the page before.")]


class ShareRequest(Body):
    """How the link opens its picture. `expires_in` is in seconds; left out, the link does not expire."""

    contract = shares.CreateShareRequest
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"expires_in": 604_800, "password": "lighthouse", "hide_prompt": True, "allow_download": True}]
        }
    )

    expires_in: Seconds | None = None
    password: str | None = None
    hide_prompt: bool = False
    allow_download: bool = False


class ShareChanges(Body):
    """Only what is to change. Here null is a value (RFC 7396): `expires_in: null` lets the link last for ever,
    `password: null` opens it without one. `expires_in` counts from now on.
    """

    contract = shares.UpdateShareRequest
    model_config = ConfigDict(json_schema_extra={"examples": [{"expires_in": 3600, "password": None}]})

    expires_in: Seconds | None = None
    password: str | None = None
    hide_prompt: bool | None = None
    allow_download: bool | None = None


class Share(Answer):
    """What is kept of a link: not what opens it."""

    id: str
    result_id: str | None
    """Null once the picture was deleted, which ends the link."""
    has_password: bool
    hide_prompt: bool
    allow_download: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @staticmethod
    def fields_of(share: share_pb2.Share) -> dict[str, Any]:
        return {
            "id": share.id,
            "result_id": share.result_id or None,
            "has_password": share.has_password,
            "hide_prompt": share.hide_prompt,
            "allow_download": share.allow_download,
            "created_at": from_timestamp(share.create_time),
            "expires_at": from_timestamp(share.expire_time) if share.HasField("expire_time") else None,
            "revoked_at": from_timestamp(share.revoke_time) if share.HasField("revoke_time") else None,
        }

    @classmethod
    def from_proto(cls, share: share_pb2.Share) -> Self:
        return cls(**cls.fields_of(share))


class NewShare(Share):
    """A link that has just been made."""

    url: str | None
    """The link. Shown this once; null in a repeat."""
    secret_shown: bool


class Shares(Answer):
    shares: list[Share]
    next_cursor: str | None
    """Asks for the next page; null on the last."""


@router.post(
    "/results/{result_id}/shares",
    status_code=201,
    responses={
        201: {"headers": REPLAYED},
        **problems(*WITH_BODY, *SIGNED_IN, "result_not_found", "request_id_reused", "too_many_shares"),
    },
)
async def create_share(
    *,
    result_id: UUID,
    body: ShareRequest,
    calls: CallsDependency,
    origin: Origin,
    response: Response,
    idempotency_key: IdempotencyKey = "",
) -> NewShare:
    """Make a link that opens the picture to whoever has it. It is shown once, in this answer."""
    request = shares.CreateShareRequest(
        request_id=idempotency_key,
        result_id=str(result_id),
        expires_in=Duration(seconds=body.expires_in) if body.expires_in is not None else None,
        password=body.password,
        hide_prompt=body.hide_prompt,
        allow_download=body.allow_download,
    )
    answer = await calls.unary(calls.shares.CreateShare, request)
    response.headers.update(replayed(answer.replayed))
    url = f"{origin}/s/{answer.token}" if answer.token else None
    return NewShare(**Share.fields_of(answer.share), url=url, secret_shown=url is not None)


@router.get(
    "/results/{result_id}/shares",
    responses=problems(*SIGNED_IN, "result_not_found", "invalid_field", "invalid_cursor"),
)
async def list_shares_of_result(
    result_id: UUID, calls: CallsDependency, limit: Limit = 20, cursor: Cursor = ""
) -> Shares:
    """The links to a picture, newest first; revoked and expired ones, too."""
    return await _listed(calls, result_id=str(result_id), page_size=limit, page_token=cursor)


@router.get("/shares", responses=problems(*SIGNED_IN, "invalid_field", "invalid_cursor"))
async def list_shares(calls: CallsDependency, limit: Limit = 20, cursor: Cursor = "") -> Shares:
    """The links to all of the caller's pictures, newest first; revoked and expired ones, too."""
    return await _listed(calls, page_size=limit, page_token=cursor)


@router.patch(
    "/shares/{share_id}",
    responses=problems(*WITH_BODY, *SIGNED_IN, "share_not_found", "share_ended", "too_many_shares"),
)
async def update_share(share_id: UUID, body: ShareChanges, calls: CallsDependency) -> Share:
    """Change a link. A new password shuts out who has opened it with the old one."""
    request = shares.UpdateShareRequest(
        share_id=str(share_id), hide_prompt=body.hide_prompt, allow_download=body.allow_download
    )
    if body.expires_in is not None:
        request.expires_in.FromSeconds(body.expires_in)
    elif "expires_in" in body.model_fields_set:
        request.never_expires = True
    if body.password is not None:
        request.password = body.password
    elif "password" in body.model_fields_set:
        request.no_password = True
    answer = await calls.unary(calls.shares.UpdateShare, request)
    return Share.from_proto(answer.share)


@router.delete("/shares/{share_id}", status_code=204, responses=problems(*SIGNED_IN, "share_not_found"))
async def revoke_share(share_id: UUID, calls: CallsDependency) -> None:
    """End a link. Once this is answered it opens nothing more."""
    await calls.unary(calls.shares.RevokeShare, shares.RevokeShareRequest(share_id=str(share_id)))


async def _listed(calls: Calls, **request: Any) -> Shares:
    answer = await calls.unary(calls.shares.ListShares, shares.ListSharesRequest(**request))
    return Shares(
        shares=[Share.from_proto(share) for share in answer.shares], next_cursor=answer.next_page_token or None
    )
