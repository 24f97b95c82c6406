"""The client: what runs on the web, on a phone and on a desktop."""

import os
import sys

import flet as ft
import httpx

from api.client import Client
from api.connection import Connection
from api.problems import Unreachable
from api.resources import Language
from server import URL
from state.preferences import Preferences
from state.session import Session
from state.storage import KeptTokens, answered
from surface import Surface
from visitor import Visitor, visiting, visitor


async def show(page: ft.Page, http: httpx.AsyncClient) -> None:
    """Begins a person's session. It ends with the page."""
    storage = ft.SharedPreferences()
    files = ft.FilePicker()

    async def save_file(name: str, content: bytes) -> None:
        await files.save_file(file_name=name, src_bytes=content)

    client = Client(Connection(http, KeptTokens(storage), visitor().headers))
    session = Session(client, Preferences(storage), save_file, visitor().saving_page, visitor().assets)
    Surface(page, session).show()
    await session.preferences.load(await spoken(page))
    await session.begin()


async def spoken(page: ft.Page) -> Language:
    """The device's first language, if the client speaks it, else English."""
    try:
        info = await answered(page.get_device_info())
    except Unreachable:
        info = None
    return "zh" if info is not None and info.locales and info.locales[0].language_code == "zh" else "en"


async def main(page: ft.Page) -> None:
    """The beginning of a client that runs without the web process: on a device, or in a browser by Pyodide."""
    if sys.platform == "emscripten":
        from browser import FetchTransport, assets, origin  # noqa: PLC0415 - there is no such module elsewhere

        with visiting(Visitor(assets=assets())):
            await show(page, httpx.AsyncClient(base_url=URL or origin(), transport=FetchTransport()))
    else:
        await show(page, httpx.AsyncClient(base_url=os.environ.get("IMAGEGEN_URL", URL)))


if __name__ == "__main__":
    ft.run(main)
