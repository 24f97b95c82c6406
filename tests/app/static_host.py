"""A web server for the static build: its files and headers, and everything else from an installation, as one origin."""

import mimetypes
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def headers_of(folder: Path) -> dict[str, dict[str, str]]:
    """Path, perhaps with a star at its end → headers, as the folder's own file says."""
    rules: dict[str, dict[str, str]] = {}
    path = ""
    for line in (folder / "_headers").read_text().splitlines():
        if line.startswith("  "):
            name, _, value = line.strip().partition(": ")
            rules[path][name] = value
        elif line:
            path = line
            rules[path] = {}
    return rules


def headers_for(rules: dict[str, dict[str, str]], path: str) -> dict[str, str]:
    fitting = [rule for each, rule in rules.items() if each == path or (each[-1] == "*" and path.startswith(each[:-1]))]
    return {name: value for rule in fitting for name, value in rule.items()}


def create_app(folder: Path, below: str, rest: str) -> Starlette:
    """The folder is at `below`, which begins and ends with a slash; calls of the API go to the server at `rest`."""
    rules = headers_of(folder)

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        path = folder / (name or "index.html")
        if not path.is_file():
            return Response(status_code=404)
        headers = headers_for(rules, f"/{name}")
        compressed = path.with_name(path.name + ".br")
        if compressed.is_file():
            headers["Content-Encoding"] = "br"
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return FileResponse(compressed if compressed.is_file() else path, headers=headers, media_type=media_type)

    async def call(request: Request) -> Response:
        asked = http.build_request(
            request.method,
            request.url.path,
            params=request.url.query,
            headers=request.headers.raw,
            content=await request.body(),
        )
        answer = await http.send(asked, stream=True)
        return StreamingResponse(answer.aiter_raw(), answer.status_code, dict(answer.headers))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with http:
            yield

    http = httpx.AsyncClient(base_url=rest, timeout=None, trust_env=False)
    routes = [Route("/api/{path:path}", call, methods=METHODS), Route(below + "{name:path}", file)]
    return Starlette(routes=routes, lifespan=lifespan)


@contextmanager
def hosted(folder: Path, rest: str, below: str = "/", port: int = 0) -> Iterator[str]:
    """Serves while the context lasts. Gives the first page's URL, without the slash at its end."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(folder, below, rest),
                log_config=None,
                access_log=False,
                date_header=False,
                server_header=False,
                loop="asyncio",
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}{below[:-1]}"
        finally:
            server.should_exit = True
            thread.join()
