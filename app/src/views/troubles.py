"""What a view shows when it has nothing else to show, or when something did not succeed; always with a way on."""

import flet as ft

from state.complaints import NOT_UNDERSTOOD, OFFLINE, Complaint
from texts.words import Words
from views.copying import selectable
from views.look import GAP, ROOM, quiet
from views.named import Action


def explain(complaint: Complaint, say: Words) -> str:
    """One sentence in the person's language; the server's own where there is none for the code."""
    if complaint.code == OFFLINE:
        return say.offline
    if complaint.code == NOT_UNDERSTOOD:
        return say.not_understood
    return say.errors.get(complaint.code, complaint.detail)


def trouble(complaint: Complaint, say: Words, retry: Action | None = None) -> ft.Control:
    """A box within a view."""
    lines: list[ft.Control] = [ft.Text(explain(complaint, say), color=ft.Colors.ON_ERROR_CONTAINER)]
    lines += [
        ft.Text(f"{name}: {detail}", color=ft.Colors.ON_ERROR_CONTAINER, size=12)
        for name, detail in complaint.fields.items()
    ]
    if complaint.request_id and complaint.code not in say.errors:
        reference = say.reference.format(id=complaint.request_id)
        lines.append(selectable(reference, color=ft.Colors.ON_ERROR_CONTAINER, size=11))
    row: list[ft.Control] = [
        ft.Icon(ft.Icons.ERROR_OUTLINE, color=ft.Colors.ON_ERROR_CONTAINER),
        ft.Column(lines, spacing=4, expand=True),
    ]
    if retry is not None:
        row.append(ft.TextButton(say.retry, on_click=retry))
    return ft.Semantics(
        content=ft.Container(ft.Row(row), padding=GAP, border_radius=14, bgcolor=ft.Colors.ERROR_CONTAINER),
        live_region=True,
    )


def blank(icon: ft.IconData, title: str, advice: str, action: ft.Control | None = None) -> ft.Control:
    """A whole view that has nothing to show."""
    lines: list[ft.Control] = [
        ft.Icon(icon, size=56, color=ft.Colors.OUTLINE),
        ft.Text(
            title,
            theme_style=ft.TextThemeStyle.TITLE_MEDIUM,
            text_align=ft.TextAlign.CENTER,
            color=ft.Colors.ON_SURFACE,
        ),
        quiet(advice),
    ]
    if action is not None:
        lines.append(action)
    column = ft.Column(
        lines,
        horizontal_alignment=ft.CrossAxisAlignment.CENTER,
        alignment=ft.MainAxisAlignment.CENTER,
        spacing=GAP,
    )
    return ft.Container(column, alignment=ft.Alignment.CENTER, padding=ROOM, expand=True)


def waiting(say: Words, reason: str = "") -> ft.Control:
    ring = ft.ProgressRing(width=32, height=32, semantics_label=say.loading)
    told = ft.Semantics(content=quiet(reason), live_region=True, visible=bool(reason))
    column = ft.Column([ring, told], spacing=GAP, tight=True, horizontal_alignment=ft.CrossAxisAlignment.CENTER)
    return ft.Container(column, alignment=ft.Alignment.CENTER, padding=ROOM, expand=True)
