"""The RPCs of share links: proto ↔ domain."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from imagegen.results.v1 import share_pb2, share_service_pb2, share_service_pb2_grpc

from services.results.delivery import Wanted
from services.results.domain import Result, ResultId, Share, ShareId
from services.results.server.caller import owner
from services.results.server.messages import formats_from_proto, picture_to_proto
from services.results.shares import Changes, Shares
from services.runtime.calls import client_address
from services.runtime.pages import decode_page_token, encode_page_token
from services.runtime.protos import to_timestamp


class ShareServicer(share_service_pb2_grpc.ShareServiceServicer):
    """For people who share, and for anybody whom they give a link."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares

    def CreateShare(
        self, request: share_service_pb2.CreateShareRequest, context: Any
    ) -> share_service_pb2.CreateShareResponse:
        share, token = self._shares.create(
            owner(),
            ResultId(UUID(request.result_id)),
            request.request_id,
            lifetime=request.expires_in.ToTimedelta() if request.HasField("expires_in") else None,
            password=request.password if request.HasField("password") else None,
            hide_prompt=request.hide_prompt,
            allow_download=request.allow_download,
        )
        return share_service_pb2.CreateShareResponse(share=_to_proto(share), token=token, replayed=not token)

    def ListShares(
        self, request: share_service_pb2.ListSharesRequest, context: Any
    ) -> share_service_pb2.ListSharesResponse:
        before = decode_page_token(request.page_token)
        result_id = ResultId(UUID(request.result_id)) if request.result_id else None
        found, more = self._shares.list_of(owner(), result_id, before=before, limit=request.page_size)
        return share_service_pb2.ListSharesResponse(
            shares=map(_to_proto, found), next_page_token=encode_page_token(found[-1].id) if more else ""
        )

    def UpdateShare(
        self, request: share_service_pb2.UpdateShareRequest, context: Any
    ) -> share_service_pb2.UpdateShareResponse:
        changes = Changes()
        if request.WhichOneof("expiry"):
            changes["lifetime"] = request.expires_in.ToTimedelta() if request.HasField("expires_in") else None
        if request.WhichOneof("lock"):
            changes["password"] = request.password if request.HasField("password") else None
        if request.HasField("hide_prompt"):
            changes["hide_prompt"] = request.hide_prompt
        if request.HasField("allow_download"):
            changes["allow_download"] = request.allow_download
        share = self._shares.update(owner(), ShareId(UUID(request.share_id)), **changes)
        return share_service_pb2.UpdateShareResponse(share=_to_proto(share))

    def RevokeShare(
        self, request: share_service_pb2.RevokeShareRequest, context: Any
    ) -> share_service_pb2.RevokeShareResponse:
        self._shares.revoke(owner(), ShareId(UUID(request.share_id)))
        return share_service_pb2.RevokeShareResponse()

    def OpenShare(
        self, request: share_service_pb2.OpenShareRequest, context: Any
    ) -> share_service_pb2.OpenShareResponse:
        share, result = self._shares.open(request.token, request.ticket)
        return share_service_pb2.OpenShareResponse(picture=_shown(share, result))

    def UnlockShare(
        self, request: share_service_pb2.UnlockShareRequest, context: Any
    ) -> share_service_pb2.UnlockShareResponse:
        ticket, expires_at = self._shares.unlock(request.token, request.password, client_address())
        return share_service_pb2.UnlockShareResponse(ticket=ticket, expire_time=to_timestamp(expires_at))

    async def DownloadShare(
        self, request: share_service_pb2.DownloadShareRequest, context: Any
    ) -> AsyncIterator[share_service_pb2.DownloadShareResponse]:
        wanted = Wanted(
            width=request.width if request.HasField("width") else None, formats=formats_from_proto(request.formats)
        )
        sent, chunks = await self._shares.download(request.token, request.ticket, wanted, original=request.original)
        yield share_service_pb2.DownloadShareResponse(picture=picture_to_proto(sent))
        async for chunk in chunks:
            yield share_service_pb2.DownloadShareResponse(chunk=chunk)


def _to_proto(share: Share) -> share_pb2.Share:
    return share_pb2.Share(
        id=str(share.id),
        result_id=str(share.result_id or ""),
        has_password=share.password_hash is not None,
        hide_prompt=share.hide_prompt,
        allow_download=share.allow_download,
        create_time=to_timestamp(share.created_at),
        expire_time=to_timestamp(share.expires_at),
        revoke_time=to_timestamp(share.revoked_at),
    )


def _shown(share: Share, result: Result) -> share_pb2.SharedPicture:
    return share_pb2.SharedPicture(
        width=result.width,
        height=result.height,
        create_time=to_timestamp(result.created_at),
        prompt=result.recipe.prompt,
        model=result.recipe.model,
        allow_download=share.allow_download,
    )
