"""How a browser comes to save a file by itself."""

import flet as ft


def in_a_tab(url: str) -> ft.OpenUrl | None:
    """What a button does at once: a browser opens a tab within a click alone. Nothing without a URL."""
    return ft.OpenUrl(url, target=ft.UrlTarget.BLANK) if url else None
