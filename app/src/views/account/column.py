"""How the account's parts are laid out."""

import flet as ft

from views.look import GAP


def column(lines: list[ft.Control]) -> ft.Column:
    """One below the other, each as wide as there is room."""
    return ft.Column(lines, spacing=GAP, tight=True, horizontal_alignment=ft.CrossAxisAlignment.STRETCH)
