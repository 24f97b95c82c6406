"""Tasks on their way to a picture, or to a reason."""

import asyncio
from collections.abc import Sequence

import flet as ft

from api.resources import Result, Task
from state.gallery import Gallery
from state.session import Session
from state.tasks import FollowedTask, Tasks
from texts.spans import remaining
from texts.words import Words
from views.keyed import keyed
from views.look import CORNER, GAP, ROOM, heading, quiet
from views.named import Go, icon_button, pressable
from views.tiles import recent
from views.troubles import blank, trouble

REFRESH_SECONDS = 5
"""How often what is left of a wait is said anew."""

PICTURE_HEIGHT = 520


@ft.component
def TaskList(session: Session, tasks: Tasks, gallery: Gallery, say: Words, go: Go, *, is_wide: bool) -> ft.Control:
    lines: list[ft.Control] = []
    if tasks.complaint is not None:
        lines.append(trouble(tasks.complaint, say, tasks.load))
    lines += [
        keyed(followed.task.id, TaskCard, session, tasks, followed, say, go, hidden=gallery.hidden)
        for followed in tasks.followed
    ]
    shown = {result.id for followed in tasks.followed for result in followed.task.results}
    latest = [] if gallery.is_filtered else [picture for picture in gallery.pictures if picture.id not in shown][:12]
    if latest:
        lines += [heading(say.gallery), recent(latest, say, go)]
    if not lines and is_wide and not gallery.is_loading:
        return blank(ft.Icons.LANDSCAPE_OUTLINED, say.slogan, say.gallery_empty_advice)
    column = ft.Column(lines, spacing=GAP, tight=True, horizontal_alignment=ft.CrossAxisAlignment.STRETCH)
    padded = ft.Container(column, padding=ROOM if is_wide else GAP)
    if not is_wide:
        return padded
    return ft.Column([padded], scroll=ft.ScrollMode.AUTO, expand=True)


@ft.component
def TaskCard(
    session: Session, tasks: Tasks, followed: FollowedTask, say: Words, go: Go, *, hidden: frozenset[str]
) -> ft.Control:
    """`hidden`: ids of results that were deleted."""
    _, set_tick = ft.use_state(0)
    task = followed.task

    async def tick() -> None:
        for count in range(1, 10_000):
            if followed.task.has_ended:
                return
            await asyncio.sleep(REFRESH_SECONDS)
            set_tick(count)

    ft.use_effect(tick, [task.has_ended])
    shown: list[ft.Control] = []
    kept = [result for result in task.results if result.id not in hidden]
    if kept:
        shown.append(results(task, kept, say, go))
    elif not task.has_ended:
        shown.append(canvas(followed, say))
    prompt = ft.Text(
        task.prompt, max_lines=2, overflow=ft.TextOverflow.ELLIPSIS, theme_style=ft.TextThemeStyle.BODY_LARGE
    )
    state = ft.Semantics(content=quiet(state_of(followed, session, say)), live_region=True)
    texts: list[ft.Control] = [prompt, state]
    if not task.has_ended and task.status == "processing" and task.progress is not None:
        done = task.progress.step / max(task.progress.steps, 1)
        texts.append(ft.ProgressBar(value=done, border_radius=4, bar_height=6, semantics_label=task.prompt))
    if followed.complaint is not None:
        texts.append(trouble(followed.complaint, say, followed.look))
    buttons: list[ft.Control] = []
    if task.has_ended:
        buttons.append(icon_button(ft.Icons.REPLAY, say.use_again, lambda: session.draft.use(task.recipe)))
        buttons.append(icon_button(ft.Icons.CLOSE, say.dismiss, lambda: tasks.dismiss(followed)))
    elif not task.cancel_requested:
        buttons.append(ft.TextButton(say.cancel, on_click=followed.cancel))
    foot = ft.Row(
        [ft.Column(texts, spacing=6, expand=True, tight=True), *buttons], vertical_alignment=ft.CrossAxisAlignment.START
    )
    shown.append(ft.Container(foot, padding=ft.Padding(ROOM, GAP, GAP, GAP)))
    return ft.Container(
        ft.Column(shown, spacing=0, tight=True, horizontal_alignment=ft.CrossAxisAlignment.STRETCH),
        border_radius=CORNER,
        bgcolor=ft.Colors.SURFACE_CONTAINER_LOW,
        clip_behavior=ft.ClipBehavior.ANTI_ALIAS,
    )


def canvas(followed: FollowedTask, say: Words) -> ft.Control:
    """Where the picture will be: its preview, or the place for it."""
    task = followed.task
    if followed.preview is None:
        inner: ft.Control = ft.Container(
            ft.ProgressRing(width=36, height=36, semantics_label=say.pending), alignment=ft.Alignment.CENTER
        )
    else:
        inner = ft.Image(
            followed.preview,
            fit=ft.BoxFit.CONTAIN,
            gapless_playback=True,
            semantics_label=say.preview_of.format(prompt=task.prompt),
        )
    return ft.Container(
        inner,
        height=height_of(task.width, task.height),
        bgcolor=ft.Colors.SURFACE_CONTAINER,
        alignment=ft.Alignment.CENTER,
    )


def results(task: Task, kept: Sequence[Result], say: Words, go: Go) -> ft.Control:
    height = height_of(task.width, task.height) if len(kept) == 1 else 220

    def one(result: Result) -> ft.Control:
        image = ft.Image(
            result.image_url,
            fit=ft.BoxFit.CONTAIN if len(kept) == 1 else ft.BoxFit.COVER,
            height=height,
            gapless_playback=True,
            exclude_from_semantics=True,
        )
        name = say.picture_of.format(prompt=task.prompt)
        return pressable(image, name, lambda: go(f"/create/{result.id}"), radius=0, key=result.id)

    row = ft.Row([ft.Container(one(result), expand=True, key=result.id) for result in kept], spacing=2, tight=True)
    return ft.Container(row, bgcolor=ft.Colors.SURFACE_CONTAINER, height=height)


def height_of(width: int, height: int) -> int:
    """Of the picture's place in a card, before its width is known."""
    return min(PICTURE_HEIGHT, max(240, round(360 * height / max(width, 1))))


def state_of(followed: FollowedTask, session: Session, say: Words) -> str:
    """In one sentence where the task is."""
    task = followed.task
    if followed.is_lost:
        return say.reconnecting
    if task.has_ended:
        return end_of(task, say)
    if task.cancel_requested:
        return say.canceling
    parts = [say.pending if task.status == "pending" else say.processing]
    if task.waiting_reason is not None:
        parts = [say.waiting.get(task.waiting_reason, parts[0])]
    elif task.status == "processing" and task.progress is not None:
        parts = [say.step.format(step=task.progress.step, steps=task.progress.steps)]
    if task.position is not None:
        parts.append(say.place.format(n=task.position))
    if task.eta is not None:
        parts.append(remaining(task.eta, session.client.connection.now(), say))
    return " · ".join(parts)


def end_of(task: Task, say: Words) -> str:
    """What came of it."""
    if task.error is not None:
        return say.failures.get(task.error.code, task.error.message)
    if task.status == "completed":
        return say.results_unavailable if task.results_unavailable else f"{task.width} × {task.height}"
    return say.canceled if task.status == "canceled" else say.failed
