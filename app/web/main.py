"""The web process: composition root."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import flet as ft
import httpx
import uvicorn
from flet_web.fastapi.flet_app_manager import app_manager
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from app.web.counting import CountingMiddleware
from app.web.files import PREFIX, Site, compress, lay_ready
from app.web.gateways import Gateways
from app.web.settings import Settings
from app.web.site import SiteEndpoints
from app.web.visits import receive
from main import show
from services.runtime.process import start_process

PING_SECONDS = 10.0
"""Between two pings, and until one is answered. A phone that comes back through another network finds its session only
if its former connection is known to be dead.
"""

STOP_GRACE_SECONDS = 3
"""Sessions do not outlive the process anyway: a client connects again, to another replica or to the next start."""


def create_app(settings: Settings, site: Site) -> Starlette:
    """`/`, its files, and `/ws`."""
    endpoints = SiteEndpoints(site)
    # One pool for everybody: a client of its own would cost each session a megabyte. Each open event stream holds a
    # connection, so there is no limit.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=4)
    transport = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
    addresses = settings.gateway_address.split(",")
    http = httpx.AsyncClient(base_url="http://gateway", transport=Gateways(addresses, transport), trust_env=False)

    async def visit(websocket: WebSocket) -> None:
        async def main(page: ft.Page) -> None:
            await show(page, http)

        await receive(websocket, main, site=site, session_seconds=settings.session_seconds)

    async def healthz(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await app_manager.start()
        compressing = asyncio.create_task(asyncio.to_thread(compress, site))
        yield
        with suppress(asyncio.CancelledError):
            compressing.cancel()
        await app_manager.shutdown()
        await http.aclose()

    routes = [
        Route("/", endpoints.index),
        Route(PREFIX + "/{version}/{name:path}", endpoints.file),
        Route("/healthz", healthz),
    ]
    app = Starlette(
        routes=[*routes, WebSocketRoute("/ws", visit)],
        middleware=[Middleware(CountingMiddleware, routes=routes)],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def main() -> None:
    start_process("app")
    for talkative in ("flet", "flet_web"):  # they log what people wrote; visits.py tells of errors by their place
        logging.getLogger(talkative).setLevel(logging.CRITICAL)
    settings = Settings()
    settings.files_dir.mkdir(parents=True, exist_ok=True)
    host, port = settings.listen.rsplit(":", 1)
    uvicorn.run(
        create_app(settings, lay_ready(settings.files_dir)),
        host=host,
        port=int(port),
        access_log=False,
        log_config=None,
        loop="asyncio",
        http="h11",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_GRACE_SECONDS,
        ws_max_size=2**20,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
    )


if __name__ == "__main__":
    main()
