"""The bytes of pictures: in a size and format that the client can use, whole or in part."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any, Literal
from uuid import UUID

import grpc
from buf.validate import validate_pb2
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from imagegen.results.v1 import picture_pb2, result_pb2
from imagegen.results.v1 import results_service_pb2 as results

from gateway.bodies import Int32, Int64
from gateway.clients import CallsDependency
from gateway.conditional import has
from gateway.filenames import attachment
from gateway.negotiation import picture_types
from gateway.origins import client_address
from gateway.problems import SIGNED_IN, problem, problems
from gateway.ranges import if_range_sha256, parse_range
from gateway.security import ALSO_ANONYMOUS, signed_in
from gateway.streams import RelayedResponse
from services.runtime.addresses import network_of

DOWNLOAD_SECONDS = 600.0
"""The largest picture, 64 MiB, at 1 Mbit/s."""

IMAGE_MAX_AGE_SECONDS = 24 * 60 * 60
"""A picture never changes; after a day a deleted one leaves its owner's own caches."""

MAX_OPEN = 100
"""Downloads at once to one network: a page of thumbnails by HTTP/2. Each holds a stream of results and a megabyte here
and there for as long as its reader takes, and a link needs no account.
"""

_WIDTH = results.DownloadResultRequest.DESCRIPTOR.fields_by_name["width"].GetOptions().Extensions[validate_pb2.field]
WIDTHS = list(getattr(_WIDTH.int32, "in"))
"""Those that the contract lists."""

FETCH_SITE = "Sec-Fetch-Site"
"""Where the page is from that a browser loads a picture for (W3C Fetch Metadata)."""

FORMATS = {
    "image/png": picture_pb2.PICTURE_FORMAT_PNG,
    "image/jpeg": picture_pb2.PICTURE_FORMAT_JPEG,
    "image/webp": picture_pb2.PICTURE_FORMAT_WEBP,
    "image/avif": picture_pb2.PICTURE_FORMAT_AVIF,
}

ImageFormat = Literal["png", "jpeg", "webp", "avif"]

router = APIRouter(prefix="/api/v1/results", tags=["results"])


class OpenDownloads:
    """How many each network has open. Belongs to one event loop."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def begin(self, network: str) -> bool:
        """Whether it may have one more; if so, it ends by `end`."""
        if self._open[network] >= MAX_OPEN:
            return False
        self._open[network] += 1
        return True

    def end(self, network: str) -> None:
        self._open[network] -= 1
        if not self._open[network]:
            del self._open[network]


@router.head("/{result_id}/image", name="head_image", include_in_schema=False)
@router.get(
    "/{result_id}/image",
    dependencies=[signed_in],
    openapi_extra=ALSO_ANONYMOUS,
    response_class=Response,
    responses={
        200: {
            "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in FORMATS},
            "description": "The picture.",
        },
        206: {"description": "The range of it that was asked for."},
        302: {"description": "The store hands it out itself, for a few minutes, at this Location."},
        304: {"description": "The client has it: If-None-Match names its ETag."},
        **problems(
            *SIGNED_IN,
            *("link_invalid", "result_not_found", "picture_lost", "invalid_field"),
            *("range_not_satisfiable", "too_many_downloads"),
        ),
    },
)
async def get_image(
    request: Request,
    result_id: UUID,
    calls: CallsDependency,
    *,
    w: Annotated[
        Int32 | None,
        Query(description="Pixels; nothing is enlarged.", json_schema_extra={"enum": WIDTHS}),
    ] = None,
    format_: Annotated[ImageFormat | None, Query(alias="format", description="Instead of what Accept says.")] = None,
    download: Annotated[bool, Query(description="To be kept as a file: PNG, unless `format` says otherwise.")] = False,
    expires: Annotated[Int64 | None, Query(description="Of a signed link.")] = None,
    signature: Annotated[str, Query(description="Of a signed link.")] = "",
    if_none_match: Annotated[list[str] | None, Header(alias="If-None-Match")] = None,
    range_: Annotated[str | None, Header(alias="Range", description="One range of bytes.")] = None,
    if_range: Annotated[str | None, Header(alias="If-Range")] = None,
) -> Response:
    """A picture's bytes, opened by the owner's token or by the query of a signed link (`image_url`).

    The format is the best that Accept names, or that `format` says. Who names none gets the picture as it is stored
    (PNG), or WebP if `w` is given.
    """
    types = [f"image/{format_ or 'png'}"]
    by_accept = not (format_ or download)
    if by_accept:
        types = list(picture_types(", ".join(request.headers.getlist("accept")), reduced=w is not None))
    signed = expires is not None or signature
    # RFC 9110 §13.2.2: who has the whole is told so before any range is looked at; §14.2: ranges are for GET alone.
    is_partial = request.method == "GET" and not if_none_match
    wanted = results.DownloadResultRequest(
        result_id=str(result_id),
        link=result_pb2.ImageLink(expires=expires or 0, signature=signature) if signed else None,
        width=w,
        formats=[FORMATS[type_] for type_ in types],
        range=parse_range(range_) if is_partial else None,
        if_range_sha256=if_range_sha256(if_range),
        redirect=_may_be_redirected(request) and not download,  # the store does not know the file's name
    )
    call = calls.results.DownloadResult(wanted, timeout=DOWNLOAD_SECONDS, metadata=calls.metadata)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": f"private, max-age={IMAGE_MAX_AGE_SECONDS}, immutable",
    }
    if by_accept:
        headers["Vary"] = "Accept"
    return await relayed(request, call, headers, if_none_match, download=download)


async def relayed(
    request: Request,
    call: grpc.aio.UnaryStreamCall[Any, Any],
    headers: dict[str, str],
    if_none_match: Iterable[str] | None,
    *,
    download: bool,
) -> Response:
    """What a call answers that tells of a picture first and then sends its bytes in `chunk`; none of them to who has
    them, who is sent to the store, or asks for HEAD, nor while too many downloads to the client's network are open.
    """
    parts = aiter(call)
    picture = (await anext(parts)).picture
    headers["ETag"] = etag = f'"{picture.sha256}"'
    headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # a link may be shown on any page
    if download:
        headers["Content-Disposition"] = attachment(picture.file_name)
    if has(if_none_match or (), etag):
        call.cancel()
        return Response(status_code=304, headers=headers)
    if picture.redirect_url:
        call.cancel()
        # The cached answer must not outlive the URL, nor leave too little of its life to begin a download.
        headers["Cache-Control"] = f"private, max-age={picture.redirect_seconds // 2}"
        headers["Location"] = picture.redirect_url
        headers["Vary"] = ", ".join([*filter(None, [headers.get("Vary")]), FETCH_SITE])
        return Response(status_code=302, headers=headers)
    is_part = picture.length < picture.size_bytes
    if is_part:
        last = picture.offset + picture.length - 1
        headers["Content-Range"] = f"bytes {picture.offset}-{last}/{picture.size_bytes}"
    headers["Content-Length"] = str(picture.length)
    if request.method == "HEAD":
        call.cancel()
        return Response(headers=headers, media_type=picture.media_type)
    downloads: OpenDownloads = request.app.state.downloads
    network = network_of(client_address(request))
    if not downloads.begin(network):
        call.cancel()
        return problem(request, "too_many_downloads", headers={"Retry-After": "1"})

    def end() -> None:
        call.cancel()
        downloads.end(network)

    status = 206 if is_part else 200
    return RelayedResponse(end, _chunks(parts), status=status, media_type=picture.media_type, headers=headers)


def _may_be_redirected(request: Request) -> bool:
    """Pages of our own may load nothing from elsewhere (their Content-Security-Policy, gateway/middleware.py)."""
    return request.headers.get(FETCH_SITE) != "same-origin"


async def _chunks(parts: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    async for part in parts:
        yield part.chunk
