"""The pages that the `type` of every problem leads to: what it means and what to do, for people and for programs."""

from html import escape
from pathlib import Path
from string import Template
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from gateway.negotiation import Language, preferred_language, prefers_json
from gateway.problems import CODES, title_of
from gateway.reference.advice import EXPLANATIONS

PAGE = Template((Path(__file__).parent / "problems.html").read_text())

WORDS = {
    "en": {"title": "Problems", "all": "All problems", "advice": "What to do"},
    "zh": {"title": "问题说明", "all": "全部问题", "advice": "怎么办"},
}

router = APIRouter(include_in_schema=False)


@router.get("/problems")
async def every_problem(request: Request) -> Response:
    return _answer(request, list(CODES))


@router.get("/problems/{code}")
async def one_problem(code: str, request: Request) -> Response:
    if code not in CODES:
        raise HTTPException(404)
    return _answer(request, [code])


def _answer(request: Request, codes: list[str]) -> Response:
    language = preferred_language(request.headers.get("accept-language", ""))
    headers = {"Cache-Control": "no-cache", "Content-Language": language, "Vary": "Accept, Accept-Language"}
    told = [_told(code, language) for code in codes]
    if prefers_json(request.headers.get("accept", "")):
        is_one = "code" in request.path_params
        return JSONResponse(told[0] if is_one else {"problems": told}, headers=headers)
    words = WORDS[language]
    sections = "\n".join(_section(one, words["advice"]) for one in told)
    content = PAGE.substitute(language=language, sections=sections, title=words["title"], all=words["all"])
    return HTMLResponse(content, headers=headers)


def _told(code: str, language: Language) -> dict[str, Any]:
    status, _ = CODES[code]
    text = getattr(EXPLANATIONS[code], language)
    return {
        "code": code,
        "status": status,
        "title": title_of(status),
        "meaning": text.meaning,
        "advice": text.advice,
    }


def _section(told: dict[str, Any], advice: str) -> str:
    shown = {name: escape(str(value)) for name, value in told.items()}
    return (
        f'<section class="panel" id="{shown["code"]}">'
        f'<h2><a href="/problems/{shown["code"]}"><code>{shown["code"]}</code></a> {shown["status"]}</h2>'
        f"<p>{shown['meaning']}</p><p><strong>{advice}</strong> {shown['advice']}</p></section>"
    )
