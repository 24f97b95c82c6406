"""What came of tasks that made no picture."""

from functools import partial

import flet as ft

from api.resources import Task
from state.draft import Draft
from state.unpainted import Unpainted
from texts.spans import since
from texts.words import Words
from views.look import quiet
from views.named import Action, icon_button
from views.sheet import sheet
from views.tasks import end_of
from views.troubles import trouble


@ft.component
def UnpaintedSheet(draft: Draft, say: Words, close: Action, *, is_wide: bool) -> ft.Control:
    """Nothing in its place: the sheet lies above everything."""
    unpainted, _ = ft.use_state(Unpainted(draft.client))
    ft.use_effect(unpainted.load_more, [])

    def use(task: Task) -> None:
        draft.use(task.recipe)
        close()

    lines: list[ft.Control] = [row(task, unpainted, say, partial(use, task)) for task in unpainted.tasks]
    if unpainted.complaint is not None:
        lines.append(trouble(unpainted.complaint, say, unpainted.load_more))
    elif unpainted.is_loading:
        lines.append(quiet(say.loading))
    elif unpainted.cursor is not None:
        lines.append(ft.TextButton(say.more, on_click=unpainted.load_more))
    elif not lines:
        lines.append(quiet(say.unpainted_none))
    ft.use_dialog(sheet(say.unpainted, lines, say, close, is_wide=is_wide))
    return ft.Container(width=0, height=0)


def row(task: Task, unpainted: Unpainted, say: Words, use: Action) -> ft.Control:
    when = since(task.finished_at or task.created_at, unpainted.client.connection.now(), say)
    texts: list[ft.Control] = [
        ft.Text(task.prompt, max_lines=2, overflow=ft.TextOverflow.ELLIPSIS),
        ft.Text(f"{end_of(task, say)} · {when}", size=13, color=ft.Colors.ON_SURFACE_VARIANT),
    ]
    return ft.Row(
        [ft.Column(texts, spacing=2, tight=True, expand=True), icon_button(ft.Icons.REPLAY, say.use_again, use)],
        spacing=12,
        key=task.id,
    )
