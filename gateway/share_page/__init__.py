"""The public page of a share link, drawn for a phone first: the picture, or why there is none.

It runs no script, asks no other host, and is kept by no cache and no search engine. Its head tells a chat what to show
of the link (https://ogp.me, and Twitter's cards): of a link with a password that is nothing of the picture.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from imagegen.results.v1 import share_pb2

from gateway.negotiation import Language, preferred_language
from gateway.origins import public_origin
from gateway.share_page.texts import LOCALES, NOTICES, OTHERWISE, WORDS, day
from services.runtime.protos import from_timestamp

HERE = Path(__file__).parent
STYLE = HERE / "share.css"

PATHS = "/s/"

HEADERS: Mapping[str, str] = {"Cache-Control": "private, no-store", "X-Robots-Tag": "noindex, nofollow"}
"""Of everything below PATHS. What nobody keeps is gone as soon as the link is."""

FRAME, PICTURE, DOWNLOAD, NOTICE, FORM = (
    Template((HERE / f"{name}.html").read_text()) for name in ("frame", "picture", "download", "notice", "form")
)

MOST_SHOWN = 1280
"""Pixels across: one of the widths that pictures are to be had in, and what everybody with a link may see."""

IN_A_CHAT = 200
"""Characters of a prompt that a chat shows, at most."""

ASKS_FOR_PASSWORD = ("share_locked", "share_password_wrong")


def picture_page(request: Request, token: str, picture: share_pb2.SharedPicture) -> Response:
    language = _language(request)
    words = WORDS[language]
    link = f"/s/{token}"
    summary = _shortened(picture.prompt) or words["picture"]
    made_at = from_timestamp(picture.create_time)
    image = f"{link}/image"
    width, height = _shown(picture.width, picture.height)
    main = PICTURE.substitute(
        _escaped(
            image=image,
            width=width,
            height=height,
            alt=summary,
            prompt=picture.prompt,
            model=picture.model,
            moment=made_at.isoformat(),
            day=day(made_at, language),
        ),
        download=DOWNLOAD.substitute(_escaped(link=f"{image}?download=1", download=words["download"]))
        if picture.allow_download
        else "",
    )
    origin = public_origin(request)
    for_chats = f"{origin}{image}?w={MOST_SHOWN}&format=jpeg"
    chat = {
        "og:title": words["title"],
        "og:description": summary,
        "og:url": origin + link,
        "og:image": for_chats,
        "og:image:type": "image/jpeg",
        "og:image:width": width,
        "og:image:height": height,
        "og:image:alt": summary,
        "twitter:card": "summary_large_image",
        "twitter:title": words["title"],
        "twitter:description": summary,
        "twitter:image": for_chats,
        "twitter:image:alt": summary,
    }
    return _page(language, 200, words["title"], main, chat=chat)


def refusal_page(request: Request, status: int, code: str, headers: Mapping[str, str]) -> Response:
    """Instead of a problem+json: what a person can do about it, and a form where that is to give the password."""
    language = _language(request)
    words = WORDS[language]
    title, text = NOTICES[language].get(code, OTHERWISE[language])
    form, chat = "", {}
    if code in ASKS_FOR_PASSWORD:
        link = f"/s/{request.path_params['token']}"
        wrong = code == "share_password_wrong"
        form = FORM.substitute(
            _escaped(
                link=link,
                password=words["password"],
                invalid=str(wrong).lower(),
                wrong=words["wrong"] if wrong else "",
                unlock=words["unlock"],
            )
        )
        chat = {"og:title": words["title"], "og:description": text, "twitter:card": "summary"}
    main = NOTICE.substitute(_escaped(kind=_KINDS.get(status, "away"), title=title, text=text), form=form)
    return _page(language, status, title, main, chat=chat, headers=headers)


_KINDS = {401: "locked", 404: "unknown", 410: "ended"}
"""Status → which sign stands above the notice, for share.css."""


def _page(
    language: Language,
    status: int,
    title: str,
    main: str,
    *,
    chat: Mapping[str, object],
    headers: Mapping[str, str] | None = None,
) -> Response:
    tags = {"og:site_name": "ImageGen", "og:type": "website", "og:locale": LOCALES[language], **chat} if chat else {}
    content = FRAME.substitute(
        _escaped(language=language, title=title, made=WORDS[language]["made"] if status == 200 else "ImageGen"),
        tags="\n".join(f"  {_tag(name, value)}" for name, value in tags.items()),
        main=main,
    )
    sent = {**HEADERS, "Content-Language": language, "Vary": "Accept, Accept-Language, Cookie", **(headers or {})}
    return HTMLResponse(content, status, sent)


def _tag(name: str, value: object) -> str:
    """Open Graph's names are properties (RDFa), Twitter's are names."""
    attribute = "name" if name.startswith("twitter:") else "property"
    return f'<meta {attribute}="{name}" content="{escape(str(value))}">'


def _escaped(**values: Any) -> Mapping[str, str]:
    return {name: escape(str(value)) for name, value in values.items()}


def _shown(width: int, height: int) -> tuple[int, int]:
    """Pixels of the picture at most MOST_SHOWN wide, as results makes it."""
    if width <= MOST_SHOWN:
        return width, height
    return MOST_SHOWN, max(1, round(height * MOST_SHOWN / width))


def _language(request: Request) -> Language:
    return preferred_language(request.headers.get("accept-language", ""))


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= IN_A_CHAT else f"{text[: IN_A_CHAT - 1].rstrip()}…"
