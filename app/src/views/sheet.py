"""What lies above a view for a while: a sheet from below where it is narrow, a dialog where it is wide."""

from collections.abc import Sequence

import flet as ft

from texts.words import Words
from views.look import GAP, READABLE, ROOM, heading
from views.named import Action, icon_button


def sheet(
    title: str, lines: Sequence[ft.Control], say: Words, close: Action, *, is_wide: bool, is_tall: bool = True
) -> ft.AlertDialog | ft.BottomSheet:
    """Scrolls when it must. A sheet takes the whole height, or half of it if it is not tall."""
    head = ft.Row(
        [ft.Container(heading(title), expand=True), icon_button(ft.Icons.CLOSE, say.close_sheet, close)],
    )
    column = ft.Column(
        [head, *lines],
        spacing=GAP,
        tight=True,
        horizontal_alignment=ft.CrossAxisAlignment.STRETCH,
    )
    if is_wide:
        content = ft.Container(column, width=READABLE)
        return ft.AlertDialog(
            content=content,
            content_padding=ft.Padding.all(ROOM),
            scrollable=True,
            semantics_label=title,
            on_dismiss=close,
        )
    column.scroll = ft.ScrollMode.AUTO
    return ft.BottomSheet(
        ft.Container(column, padding=ft.Padding(ROOM, 0, ROOM, ROOM)),
        show_drag_handle=True,
        scrollable=is_tall,
        on_dismiss=close,
    )
