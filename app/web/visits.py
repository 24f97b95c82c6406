"""A visitor's session behind `/ws`: Flet's, told who is behind the connection."""

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import flet as ft
import structlog
from flet.messaging.protocol import Message, MessageAction, SessionCrashedBody
from flet_web.fastapi.flet_app import FletApp
from flet_web.fastapi.flet_app_manager import app_manager
from prometheus_client import Gauge
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.web.files import SAVING_PAGE, Site
from visitor import Visitor, visiting

log = structlog.get_logger()

CONNECTIONS = Gauge("imagegen_app_connections", "Open connections of visitors.")

Main = Callable[[ft.Page], Coroutine[Any, Any, None]]

BEAT_SECONDS = 5.0
"""Between two empty frames: a page that hears nothing for three times as long takes the connection for lost
(static/connection.js), for a browser does not tell it of WebSocket's own pings.
"""

FOREIGN_PAGE = 4403
"""WebSocket close code, from the range for private use (RFC 6455 §7.4.2)."""

FORGOTTEN = 4410
"""Likewise: the page remembers a session that is not here. Its engine would take controls of a new one for those of the
old one that had the same numbers, and so the page begins anew (static/connection.js).
"""


class Unintroduced(Exception):
    """The connection ended before it had said whose session it is."""


class Unprinted(Message):
    """A message that is not written out: Flet does so for a log that is off, which takes nine tenths of the time of a
    change on the screen.
    """

    def __repr__(self) -> str:
        return self.action.name


class Visit(FletApp):  # type: ignore[misc] # flet_web has no types
    """One connection. What went wrong in a session is for the log; a visitor is told what to do."""

    def send_message(self, message: Message) -> None:
        if message.action is MessageAction.SESSION_CRASHED:
            # The places alone: the text may hold what a person wrote.
            places = [line.strip() for line in message.body.message.splitlines() if line.startswith("  File ")]
            log.error("a session crashed", at=places)
            message = Message(
                message.action, SessionCrashedBody("Something went wrong. Please reload. 出错了，请刷新页面。")
            )
        super().send_message(Unprinted(message.action, message.body))

    async def _FletApp__on_message(self, data: list[Any]) -> None:  # noqa: N802 - Flet's own private name
        if data[0] == MessageAction.REGISTER_CLIENT.value and (session_id := data[1].get("session_id")):
            session = await app_manager.get_session(self._FletApp__get_unique_session_id(session_id))
            if session is None:
                await self._FletApp__websocket.close(FORGOTTEN)
                return
        await super()._FletApp__on_message(data)

    async def _FletApp__receive_loop(self) -> None:  # noqa: N802 - Flet's own private name
        """Flet itself would wait for ever on a connection that never introduced itself."""
        await super()._FletApp__receive_loop()
        if self._FletApp__session is None:
            self._FletApp__send_queue.put_nowait(None)
            raise Unintroduced


async def receive(
    websocket: WebSocket, main: Main, *, site: Site, session_seconds: int, beat_seconds: float = BEAT_SECONDS
) -> None:
    """Serves one connection to its end."""
    headers = websocket.headers
    host = headers.get("host", "")
    origin = headers.get("origin", "")
    if urlsplit(origin).netloc != host:
        await websocket.close(FOREIGN_PAGE)
        return
    address = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()  # Envoy's; what stands before is anybody's
    visitor = Visitor(
        headers={
            "Host": host,
            "X-Forwarded-For": address,
            "X-Forwarded-Proto": headers.get("x-forwarded-proto", "http"),
            "User-Agent": headers.get("user-agent", ""),
        },
        assets=f"{origin}{site.path}/assets/",
        saving_page=f"{origin}{site.path}/{SAVING_PAGE}",
    )

    async def begin(page: ft.Page) -> None:
        await main(page)
        # Flet's own: what renders the changes. An error ends it, of which Flet tells nobody.
        rendering: asyncio.Task[None] = vars(page.session)["_Session__updates_task"]
        rendering.add_done_callback(partial(_tell_of_crash, page))

    with visiting(visitor):
        connection = Visit(
            loop=asyncio.get_running_loop(),
            executor=app_manager.executor,
            main=begin,
            before_main=None,
            session_timeout_seconds=session_seconds,
        )
        beating = asyncio.create_task(_beat(websocket, beat_seconds))
        try:
            with CONNECTIONS.track_inprogress(), suppress(Unintroduced):
                await connection.handle(websocket)
        finally:
            beating.cancel()


async def _beat(websocket: WebSocket, seconds: float) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):  # the connection has ended: whoever reads from it sees to that
        while True:
            await asyncio.sleep(seconds)
            await websocket.send_bytes(b"")


def _tell_of_crash(page: ft.Page, rendering: asyncio.Task[None]) -> None:
    if not rendering.cancelled() and (error := rendering.exception()):
        page.session.error("".join(traceback.format_exception(error)))
