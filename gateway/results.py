"""Results: how one is shown, and the bytes of its picture."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response
from imagegen.results.v1 import result_pb2
from imagegen.results.v1 import results_service_pb2 as results

from gateway.bodies import Answer, Int64
from gateway.clients import CallsDependency
from gateway.conditional import has
from gateway.problems import SIGNED_IN, problems
from gateway.security import ALSO_ANONYMOUS, signed_in
from gateway.streams import RelayedResponse
from services.runtime.protos import from_timestamp

DOWNLOAD_SECONDS = 600.0
"""The largest picture, 64 MiB, at 1 Mbit/s."""

IMAGE_MAX_AGE_SECONDS = 24 * 60 * 60
"""A picture never changes; after a day a deleted one leaves its owner's own caches."""

router = APIRouter(prefix="/api/v1/results", tags=["results"])


class Result(Answer):
    id: str
    task_id: str
    index: int
    """Place among the task's pictures, from 0."""
    image_url: str
    """Opens the picture to whoever has it, for a while; read the result again for a fresh one."""
    width: int
    height: int
    size_bytes: int
    sha256: str
    media_type: str
    created_at: datetime

    @classmethod
    def from_proto(cls, result: result_pb2.Result, origin: str) -> Self:
        link = result.image_link
        return cls(
            id=result.id,
            task_id=result.task_id,
            index=result.index,
            image_url=f"{origin}/api/v1/results/{result.id}/image?expires={link.expires}&signature={link.signature}",
            width=result.width,
            height=result.height,
            size_bytes=result.size_bytes,
            sha256=result.sha256,
            media_type=result.media_type,
            created_at=from_timestamp(result.create_time),
        )


@router.get(
    "/{result_id}/image",
    dependencies=[signed_in],
    openapi_extra=ALSO_ANONYMOUS,
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}}, "description": "The picture."},
        304: {"description": "The client has it: If-None-Match names its ETag."},
        **problems(*SIGNED_IN, "link_invalid", "result_not_found", "picture_lost", "invalid_field"),
    },
)
async def get_image(
    result_id: UUID,
    calls: CallsDependency,
    expires: Annotated[Int64 | None, Query(description="Of a signed link.")] = None,
    signature: Annotated[str, Query(description="Of a signed link.")] = "",
    if_none_match: Annotated[list[str] | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """The picture's bytes, opened by the owner's token or by the query of a signed link (`image_url`)."""
    signed = expires is not None or signature
    link = result_pb2.ImageLink(expires=expires or 0, signature=signature) if signed else None
    request = results.DownloadResultRequest(result_id=str(result_id), link=link)
    call = calls.results.DownloadResult(request, timeout=DOWNLOAD_SECONDS, metadata=calls.metadata)
    parts = aiter(call)
    result = (await anext(parts)).result
    etag = f'"{result.sha256}"'
    headers = {
        "ETag": etag,
        "Cache-Control": f"private, max-age={IMAGE_MAX_AGE_SECONDS}, immutable",
        "Cross-Origin-Resource-Policy": "cross-origin",  # a link may be shown on any page
    }
    if has(if_none_match or (), etag):
        call.cancel()
        return Response(status_code=304, headers=headers)
    headers["Content-Length"] = str(result.size_bytes)
    return RelayedResponse(call.cancel, _chunks(parts), media_type=result.media_type, headers=headers)


async def _chunks(parts: AsyncIterator[results.DownloadResultResponse]) -> AsyncIterator[bytes]:
    async for part in parts:
        yield part.chunk
