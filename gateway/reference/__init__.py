"""The API's reference for people: its operations (`/docs`), and what each problem means (`/problems`); plain files."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

HERE = Path(__file__).parent
FILES = frozenset({"docs.css", "docs.js", "problems.css", "reference.css"})

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs() -> Response:
    """The OpenAPI document for people, without the foreign hosts that FastAPI's own page loads."""
    return _file("docs.html")


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    return JSONResponse(request.app.openapi())


@router.get("/reference/{name}")
async def asset(name: str) -> Response:
    if name not in FILES:
        raise HTTPException(404)
    return _file(name)


def _file(name: str) -> Response:
    return FileResponse(HERE / name, headers={"Cache-Control": "no-cache"})
