"""What is on or off, with its name in it."""

import flet as ft

from views.keyboard import FOCUSED
from views.named import Action


def toggle(name: str, action: Action, *, is_on: bool, key: str | None = None, disabled: bool = False) -> ft.Control:
    """Material's chip does not grow when the characters of its name are only being fetched: this one does."""
    edge = ft.Colors.PRIMARY_CONTAINER if is_on else ft.Colors.OUTLINE_VARIANT
    button = ft.OutlinedButton(
        name,
        on_click=action,
        disabled=disabled,
        style=ft.ButtonStyle(
            bgcolor=ft.Colors.PRIMARY_CONTAINER if is_on else None,
            color=None if disabled else ft.Colors.ON_PRIMARY_CONTAINER if is_on else ft.Colors.ON_SURFACE_VARIANT,
            side=FOCUSED | {ft.ControlState.DEFAULT: ft.BorderSide(1, edge)},
            shape=ft.RoundedRectangleBorder(radius=8),
            padding=ft.Padding.symmetric(horizontal=16, vertical=6),
        ),
    )
    return ft.MergeSemantics(key=key, content=ft.Semantics(content=button, checked=is_on))
