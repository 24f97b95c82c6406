"""The client: what runs on the web, on a phone and on a desktop."""

import flet as ft
import httpx


async def show(page: ft.Page, _http: httpx.AsyncClient) -> None:
    """Shows a person's session."""
    page.title = "ImageGen"
