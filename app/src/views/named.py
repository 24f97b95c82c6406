"""Controls that tell their name to those who do not see them."""

from collections.abc import Callable, Coroutine

import flet as ft

Action = Callable[[], Coroutine[None, None, None]] | Callable[[], None]
"""A coroutine function must be one that `inspect` knows: a lambda that calls one would not be awaited."""


Go = Callable[[str], None]
"""Leads to a route."""


def icon_button(
    icon: ft.IconData,
    name: str,
    action: Action,
    *,
    disabled: bool = False,
    color: ft.ColorValue | None = None,
    at_once: ft.ClientAction | None = None,
) -> ft.Control:
    """`at_once` is done within the press, before `action`. Its tooltip is for the eyes alone: a name that is also a
    tooltip would be read twice.
    """
    button = ft.IconButton(icon, action=at_once, on_click=action, disabled=disabled, icon_color=color)
    return ft.Container(named(button, name), tooltip=ft.Tooltip(name, exclude_from_semantics=True))


def named(control: ft.Control, name: str) -> ft.Control:
    """A control that has no name of its own."""
    return ft.MergeSemantics(content=ft.Semantics(content=control, label=name))


def pressable(
    content: ft.Control, name: str, action: Action, *, radius: int, key: str | None = None, hold: Action | None = None
) -> ft.Control:
    """Anything that can be pressed, as one button; `hold` is what a long press does."""
    silent = ft.Semantics(content=content, exclude_semantics=True)
    button = ft.Container(
        silent, border_radius=radius, on_click=action, on_long_press=hold, clip_behavior=ft.ClipBehavior.ANTI_ALIAS
    )
    return ft.MergeSemantics(key=key, content=ft.Semantics(content=button, label=name, button=True))
