"""Colours, type and distances, in one place. One accent; everything else is quiet, so that the pictures are seen."""

from typing import Any

import flet as ft

from views.keyboard import FOCUSED, TINT

ACCENT = "#4453c4"

NAME_OF_CHINESE = "Name of Chinese"
"""A font of two characters, 中文, for those who see English and look for it."""

NAME_OF_CHINESE_FILE = "fonts/chinese-name.woff2"

GAP = 16
ROOM = 24
CORNER = 20
WIDE = 840
"""Pixels from which there is a rail instead of a bar (Material 3: from "expanded" on)."""

INK = ft.Colors.WHITE
"""On the dark ground of a picture that fills the screen."""

READABLE = 460
"""Pixels of a column of fields."""

TALL = ft.Padding.symmetric(horizontal=24, vertical=14)
"""In a button. It is 48 pixels high, and grows with its text."""


def theme(*, is_dark: bool = False) -> ft.Theme:
    """Roboto has Latin; the engine fetches what else is written, slice by slice, from the client's own host."""
    primary = ft.ColorScheme() if is_dark else ft.ColorScheme(primary=ACCENT, on_primary=ft.Colors.WHITE)
    ringed, tall = ft.ButtonStyle(side=FOCUSED), ft.ButtonStyle(padding=TALL, side=FOCUSED)
    tinted = {ft.ControlState.FOCUSED: TINT}
    return ft.Theme(
        color_scheme_seed=ACCENT,
        color_scheme=primary,
        font_family="Roboto",
        use_material3=True,
        visual_density=ft.VisualDensity.STANDARD,
        filled_button_theme=ft.FilledButtonTheme(tall),
        outlined_button_theme=ft.OutlinedButtonTheme(tall),
        text_button_theme=ft.TextButtonTheme(ringed),
        icon_button_theme=ft.IconButtonTheme(ringed),
        segmented_button_theme=ft.SegmentedButtonTheme(style=ft.ButtonStyle(overlay_color=tinted)),
        switch_theme=ft.SwitchTheme(overlay_color=tinted),
        slider_theme=ft.SliderTheme(overlay_color=TINT),
        focus_color=TINT,
    )


def fonts(assets: str) -> dict[str, str]:
    """Those that do not come with the engine."""
    return {NAME_OF_CHINESE: f"{assets}{NAME_OF_CHINESE_FILE}"}


def chinese_name(**properties: Any) -> ft.Text:
    return ft.Text("中文", font_family=NAME_OF_CHINESE, **properties)


def card(content: ft.Control, *, padding: int = ROOM, key: str | None = None) -> ft.Container:
    return ft.Container(
        content,
        key=key,
        padding=padding,
        border_radius=CORNER,
        bgcolor=ft.Colors.SURFACE_CONTAINER_LOW,
    )


def heading(text: str) -> ft.Control:
    return ft.Semantics(
        header=True,
        content=ft.Text(text, theme_style=ft.TextThemeStyle.TITLE_LARGE, weight=ft.FontWeight.W_600),
    )


def label(text: str) -> ft.Text:
    return ft.Text(text, theme_style=ft.TextThemeStyle.LABEL_LARGE, color=ft.Colors.ON_SURFACE_VARIANT)


def quiet(text: str) -> ft.Text:
    return ft.Text(text, theme_style=ft.TextThemeStyle.BODY_MEDIUM, color=ft.Colors.ON_SURFACE_VARIANT)


def field(**properties: object) -> ft.TextField:
    return ft.TextField(
        border_radius=14,
        border_color=ft.Colors.OUTLINE_VARIANT,
        focused_border_color=ft.Colors.PRIMARY,
        filled=True,
        fill_color=ft.Colors.SURFACE_CONTAINER_LOWEST,
        **properties,  # type: ignore[arg-type]
    )
