"""What a share link opens, to anybody: its page, the picture on it, the form for its password.

The address of a page is the secret, so it is in no log: routes are logged by their templates (gateway/middleware.py),
and Envoy leaves out the paths below /s/.
"""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from imagegen.results.v1 import share_service_pb2 as shares

from gateway import share_page
from gateway.bodies import Int32
from gateway.clients import CallsDependency
from gateway.images import DOWNLOAD_SECONDS, FORMATS, ImageFormat, relayed
from gateway.negotiation import picture_types
from gateway.origins import Origin
from services.runtime.protos import from_timestamp

COOKIE = "share_ticket"
MOST_CHARACTERS = 128
"""Of a ticket: what the contract takes."""
MOST_PASSWORD_CHARACTERS = 4096
"""Likewise; longer ones are wrong, too."""
MOST_FIELDS = 8
"""Of a form that has one."""

router = APIRouter(include_in_schema=False)

Token = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""Anything else is no token that anybody was given."""


@router.get("/share-page.css")
async def style() -> Response:
    return FileResponse(share_page.STYLE, headers={"Cache-Control": "no-cache"})


@router.head("/s/{token}", name="head_shared_page")
@router.get("/s/{token}")
async def page(token: Token, request: Request, calls: CallsDependency) -> Response:
    asked = shares.OpenShareRequest(token=token, ticket=_ticket(request))
    answer = await calls.anonymous(calls.shares.OpenShare, asked)
    return share_page.picture_page(request, token, answer.picture)


@router.post("/s/{token}")
async def unlock(token: Token, request: Request, calls: CallsDependency, origin: Origin) -> Response:
    """The form's answer. The ticket is sent back by the browser for this link alone, and never to a script."""
    asked = shares.UnlockShareRequest(token=token, password=_password(await request.body()))
    answer = await calls.anonymous(calls.shares.UnlockShare, asked)
    link = f"/s/{token}"
    response = RedirectResponse(link, 303, share_page.HEADERS)
    response.set_cookie(
        COOKIE,
        answer.ticket,
        max_age=max(0, int((from_timestamp(answer.expire_time) - datetime.now(UTC)).total_seconds())),
        path=link,
        secure=origin.startswith("https:"),
        httponly=True,
        samesite="lax",
    )
    return response


@router.head("/s/{token}/image", name="head_shared_image")
@router.get("/s/{token}/image")
async def image(
    token: Token,
    request: Request,
    calls: CallsDependency,
    *,
    w: Int32 | None = None,
    format_: Annotated[ImageFormat | None, Query(alias="format")] = None,
    download: bool = False,
    if_none_match: Annotated[list[str] | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """The picture's bytes, through us: where they lie, nobody outside is told. `download` asks for the original."""
    accepted = picture_types(", ".join(request.headers.getlist("accept")), reduced=True)
    types = [f"image/{format_}"] if format_ else accepted
    asked = shares.DownloadShareRequest(
        token=token,
        ticket=_ticket(request),
        original=download,
        width=w,
        formats=[FORMATS[type_] for type_ in types],
    )
    call = calls.shares.DownloadShare(asked, timeout=DOWNLOAD_SECONDS, metadata=calls.anonymous_metadata)
    headers = {
        **share_page.HEADERS,
        # It may be kept, but not shown without asking whether the link still opens it.
        "Cache-Control": "private, no-cache",
        "Vary": "Accept, Cookie",
    }
    return await relayed(request, call, headers, if_none_match, download=download)


def _ticket(request: Request) -> str:
    return request.cookies.get(COOKIE, "")[:MOST_CHARACTERS]


def _password(body: bytes) -> str:
    """Of the form (application/x-www-form-urlencoded); empty if the body is none."""
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), errors="replace", max_num_fields=MOST_FIELDS)
    except ValueError:
        return ""
    return fields.get("password", [""])[0][:MOST_PASSWORD_CHARACTERS]
