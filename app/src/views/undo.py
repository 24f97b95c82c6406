"""What has just been deleted, and the way back, over whatever is shown."""

import flet as ft

from state.deleting import Deleting
from texts.words import Words
from views.look import GAP
from views.named import Action
from views.troubles import explain

WIDTH = 480


def with_undo(content: ft.Control, deleting: Deleting, say: Words) -> ft.Control:
    return ft.Stack([content, UndoBar(deleting, say)], fit=ft.StackFit.EXPAND, expand=True)


@ft.component
def UndoBar(deleting: Deleting, say: Words) -> ft.Control:
    text, name, action = "", "", deleting.dismiss
    if deleting.complaint is not None:
        text = say.deletion_failed.format(reason=explain(deleting.complaint, say))
        name = say.understood
    elif deleting.pending:
        count = len(deleting.pending)
        text = say.deleted_one if count == 1 else say.deleted_many.format(n=count)
        name, action = say.undo, deleting.undo
    # It stays in the tree: who listens to a live region hears of a change, not of a beginning.
    return ft.Container(
        ft.Semantics(content=bar(text, name, action), live_region=True),
        visible=bool(text),
        alignment=ft.Alignment.CENTER,
        left=GAP,
        right=GAP,
        bottom=GAP,
    )


def bar(text: str, name: str, action: Action) -> ft.Control:
    ink = ft.Colors.INVERSE_PRIMARY
    side = {ft.ControlState.FOCUSED: ft.BorderSide(3, ink)}
    row = ft.Row(
        [
            ft.Text(text, color=ft.Colors.ON_INVERSE_SURFACE, expand=True),
            ft.TextButton(name, style=ft.ButtonStyle(color=ink, side=side), on_click=action),
        ],
        spacing=GAP,
    )
    return ft.Container(
        row,
        width=WIDTH,
        padding=ft.Padding(GAP, 4, 8, 4),
        border_radius=14,
        bgcolor=ft.Colors.INVERSE_SURFACE,
        shadow=ft.BoxShadow(blur_radius=12, color=ft.Colors.with_opacity(0.25, ft.Colors.BLACK)),
    )
