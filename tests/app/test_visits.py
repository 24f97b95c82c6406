"""A visitor's session whose view cannot be rendered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import flet as ft
import msgpack
import pytest
from flet_web.fastapi.flet_app_manager import app_manager
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from structlog.testing import capture_logs

from app.web.files import Site
from app.web.visits import FORGOTTEN, receive
from tests.app.visitors import CRASHED, PAGE, REGISTER, frame_of

SITE = Site(Path(), "0", {}, b"")

SECRET = "what somebody wrote"


@ft.component
def Fragile() -> ft.Control:
    is_broken, set_is_broken = ft.use_state(False)

    async def break_it() -> None:
        set_is_broken(True)

    ft.use_effect(break_it, [])
    if is_broken:
        raise RuntimeError(SECRET)
    return ft.Text("all is well")


async def fragile(page: ft.Page) -> None:
    page.render(Fragile)


def test_a_page_hears_that_its_connection_is_there():
    async def visit(websocket) -> None:
        await receive(websocket, fragile, site=SITE, session_seconds=1, beat_seconds=0.01)

    app = Starlette(routes=[WebSocketRoute("/ws", visit)])
    with (
        TestClient(app) as client,
        client.websocket_connect("/ws", headers={"origin": "http://testserver"}) as connection,
    ):
        assert connection.receive_bytes() == b""


def test_a_page_that_remembers_a_session_which_is_no_more_is_told_to_begin_anew():
    async def visit(websocket) -> None:
        await receive(websocket, fragile, site=SITE, session_seconds=1)

    app = Starlette(routes=[WebSocketRoute("/ws", visit)])
    with (
        TestClient(app) as client,
        client.websocket_connect("/ws", headers={"origin": "http://testserver"}) as connection,
    ):
        connection.send_bytes(frame_of(REGISTER, {"session_id": "of another process", "page_name": "", "page": PAGE}))
        with pytest.raises(WebSocketDisconnect) as told:
            connection.receive_bytes()
    assert told.value.code == FORGOTTEN


def test_a_visitor_hears_of_an_error_while_something_is_rendered_and_the_log_hears_where():
    async def visit(websocket) -> None:
        await receive(websocket, fragile, site=SITE, session_seconds=1)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await app_manager.start()
        yield
        await app_manager.shutdown()

    app = Starlette(routes=[WebSocketRoute("/ws", visit)], lifespan=lifespan)
    with (
        capture_logs() as logged,
        TestClient(app) as client,
        client.websocket_connect("/ws", headers={"origin": "http://testserver"}) as connection,
    ):
        connection.send_bytes(frame_of(REGISTER, {"session_id": None, "page_name": "", "page": PAGE}))
        action = 0
        while action != CRASHED:
            action, body = msgpack.unpackb(connection.receive_bytes()[1:], strict_map_key=False)
    assert "Please reload" in body["message"]
    (line,) = [line for line in logged if line["event"] == "a session crashed"]
    assert any("test_visits.py" in place for place in line["at"])
    assert SECRET not in str(logged) + str(body)
