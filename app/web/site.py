"""Serves the site's files: under `/app/<version>/` for ever, the first page never without asking."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from app.web.files import Site

NONE = "none"
"""The version under which the files of foreign hosts would be (files.NOWHERE)."""

HEADERS = {
    # The engine compiles WebAssembly, puts style elements into its host, shows pictures from bytes (blob:) and works
    # in threads. Everything comes from here.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' blob: data:; font-src 'self'; connect-src 'self'; worker-src 'self' blob:; "
        "manifest-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

FOR_EVER = "public, max-age=31536000, immutable"


class SiteEndpoints:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def index(self, _: Request) -> Response:
        headers = {**HEADERS, "Cache-Control": "no-cache"}
        return Response(self._site.index, headers=headers, media_type="text/html; charset=utf-8")

    async def file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.path_params["version"] == NONE:
            name = "none.js"
        media_type = self._site.files.get(name)
        if media_type is None or request.path_params["version"] not in (self._site.version, NONE):
            return Response("There is nothing here.\n", 404, {**HEADERS, "Cache-Control": "no-store"})
        path = self._site.folder / name
        headers = {**HEADERS, "Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
        for encoding, suffix in _accepted(request.headers):
            compressed = path.with_name(path.name + suffix)
            if compressed.exists():
                return FileResponse(
                    compressed, headers={**headers, "Content-Encoding": encoding}, media_type=media_type
                )
        return FileResponse(path, headers=headers, media_type=media_type)


def _accepted(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    accepted = {each.partition(";")[0].strip() for each in headers.get("accept-encoding", "").split(",")}
    return [(encoding, suffix) for encoding, suffix in (("br", ".br"), ("gzip", ".gz")) if encoding in accepted]
