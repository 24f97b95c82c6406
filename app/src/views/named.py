"""Controls that tell their name to those who do not see them."""

from collections.abc import Callable, Coroutine
from functools import cache

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
    """Anything that can be pressed, as one button; `hold` is what a long press does.

    The button lies over it like glass, so that its looks under a pointer or with the keyboard are seen on any picture.
    """
    silent = ft.Semantics(content=content, exclude_semantics=True)
    clipped = ft.Container(silent, border_radius=radius, clip_behavior=ft.ClipBehavior.ANTI_ALIAS)
    glass = ft.TextButton(
        on_click=action,
        on_long_press=hold,
        style=glass_style(radius),
        left=0,
        top=0,
        right=0,
        bottom=0,
        # Tab goes row by row, and Flutter takes for one row what lies beside a tall thing. Beside one that stands on
        # its head it takes nothing: that one comes by itself, where its foot is.
        flip=ft.Flip(flip_y=True),
    )
    both = ft.Stack([clipped, glass], fit=ft.StackFit.PASS_THROUGH)
    return ft.MergeSemantics(key=key, content=ft.Semantics(content=both, label=name))


@cache
def glass_style(radius: int) -> ft.ButtonStyle:
    return ft.ButtonStyle(
        shape=ft.RoundedRectangleBorder(radius=radius),
        side={ft.ControlState.FOCUSED: ft.BorderSide(5, ft.Colors.PRIMARY)},
    )
