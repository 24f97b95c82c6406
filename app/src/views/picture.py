"""One picture, as large as the screen."""

from collections.abc import Mapping
from functools import partial

import flet as ft

from api.problems import ApiError
from api.resources import Picture
from state.complaints import Complaint
from state.session import Session
from texts.words import Words
from views.keyed import keyed
from views.look import GAP, ROOM
from views.named import Action, Go, icon_button
from views.troubles import blank, explain, waiting

ZOOM = 1.5
INK = ft.Colors.WHITE
GROUND = "#101014"


def picture_view(session: Session, result_id: str, say: Words, go: Go) -> ft.View:
    return ft.View(
        route=f"/picture/{result_id}",
        padding=0,
        bgcolor=GROUND,
        fullscreen_dialog=True,
        controls=[ft.SafeArea(keyed(result_id, PictureView, session, result_id, say, go), expand=True)],
    )


@ft.component
def PictureView(session: Session, result_id: str, say: Words, go: Go) -> ft.Control:
    gallery, _ = ft.use_state(session.gallery)
    picture = gallery.find(result_id)
    ft.use_effect(partial(gallery.reach, result_id), [result_id])
    if picture is None and gallery.missing != result_id:
        return waiting(say)
    if picture is None:
        back = ft.FilledButton(say.close, on_click=lambda: go(f"/{session.whereabouts.place}"))
        gone = blank(ft.Icons.IMAGE_NOT_SUPPORTED_OUTLINED, say.picture_gone, "", back)
        return ft.Container(gone, theme_mode=ft.ThemeMode.DARK, expand=True)
    return ft.Column(
        [head(session, picture, say, go), keyed("stage", Stage, session, picture, say, go)], spacing=0, expand=True
    )


def head(session: Session, picture: Picture, say: Words, go: Go) -> ft.Control:
    place = session.whereabouts.place

    def turning(step: int) -> tuple[Action, bool]:
        other = session.gallery.neighbour(picture.id, step)
        return lambda: go(f"/{place}/{other.id if other else ''}"), other is None

    newer, is_newest = turning(-1)
    older, is_oldest = turning(1)
    row = ft.Row(
        [
            icon_button(ft.Icons.ARROW_BACK, say.close, lambda: go(f"/{place}"), color=INK),
            ft.Text(picture.prompt or "", max_lines=1, overflow=ft.TextOverflow.ELLIPSIS, color=INK, expand=True),
            icon_button(ft.Icons.CHEVRON_LEFT, say.previous, newer, disabled=is_newest, color=INK),
            icon_button(ft.Icons.CHEVRON_RIGHT, say.next, older, disabled=is_oldest, color=INK),
        ],
        spacing=4,
    )
    return ft.Container(row, padding=8)


@ft.component
def Stage(session: Session, picture: Picture, say: Words, go: Go) -> ft.Control:
    """The picture, to be looked at closely, and what can be done with it."""
    size, _ = ft.use_state({"width": 0.0, "height": 0.0})
    viewer: ft.Ref[ft.InteractiveViewer] = ft.use_memo(ft.Ref, [])
    is_asking, set_is_asking = ft.use_state(False)
    notice, set_notice = ft.use_state("")

    def measure(event: ft.LayoutSizeChangeEvent[ft.LayoutControl]) -> None:
        size.update(width=event.width, height=event.height)

    async def download() -> None:
        set_notice("")
        set_notice(say.downloaded if await session.download(picture) else say.download_failed)

    def delete() -> None:
        set_is_asking(False)
        session.deleting.delete([picture])
        go(f"/{session.whereabouts.place}")

    async def use_again() -> None:
        try:
            session.draft.use(await session.client.pictures.recipe(picture.id))
        except ApiError as error:
            set_notice(explain(Complaint.about(error), say))
        else:
            go("/create")

    ft.use_dialog(question(say, delete, lambda: set_is_asking(False)) if is_asking else None)
    image = ft.Image(
        picture.image_url,
        fit=ft.BoxFit.CONTAIN,
        gapless_playback=True,
        filter_quality=ft.FilterQuality.HIGH,
        semantics_label=say.picture_of.format(prompt=picture.prompt or ""),
        error_content=ft.Text(say.picture_gone, color=INK),
    )
    shown = ft.InteractiveViewer(
        ft.Container(image, alignment=ft.Alignment.CENTER),
        ref=viewer,
        on_size_change=measure,
        min_scale=1,
        max_scale=8,
        trackpad_scroll_causes_scale=True,
        expand=True,
    )
    facts = " · ".join([f"{picture.width} × {picture.height}", *([picture.model] if picture.model else [])])
    buttons: list[ft.Control] = [
        icon_button(ft.Icons.ZOOM_OUT, say.zoom_out, partial(zoom, viewer, size, 1 / ZOOM), color=INK),
        icon_button(ft.Icons.FIT_SCREEN, say.fit, partial(fit, viewer), color=INK),
        icon_button(ft.Icons.ZOOM_IN, say.zoom_in, partial(zoom, viewer, size, ZOOM), color=INK),
        icon_button(ft.Icons.REPLAY, say.use_again, use_again, color=INK),
        icon_button(ft.Icons.DELETE_OUTLINE, say.delete, lambda: set_is_asking(True), color=INK),
        ft.FilledButton(say.download, icon=ft.Icons.DOWNLOAD, on_click=download),
    ]
    foot = ft.Column(
        [
            ft.Semantics(
                content=ft.Text(notice or facts, size=13, color=ft.Colors.WHITE_70, text_align=ft.TextAlign.CENTER),
                live_region=True,
            ),
            ft.Row(buttons, alignment=ft.MainAxisAlignment.CENTER, spacing=4, wrap=True),
        ],
        horizontal_alignment=ft.CrossAxisAlignment.CENTER,
        spacing=4,
        tight=True,
    )
    padded = ft.Container(foot, padding=ft.Padding(GAP, 8, GAP, ROOM), alignment=ft.Alignment.CENTER)
    return ft.Column([shown, padded], spacing=0, expand=True)


async def zoom(viewer: ft.Ref[ft.InteractiveViewer], size: Mapping[str, float], factor: float) -> None:
    """About the middle of the stage: the viewer itself scales about its corner."""
    if viewer.current is not None:
        await viewer.current.zoom(factor)
        share = (1 - factor) / factor / 2
        await viewer.current.pan(size["width"] * share, size["height"] * share)


async def fit(viewer: ft.Ref[ft.InteractiveViewer]) -> None:
    if viewer.current is not None:
        await viewer.current.reset()


def question(say: Words, delete: Action, keep: Action) -> ft.AlertDialog:
    return ft.AlertDialog(
        modal=True,
        title=say.delete_question,
        content=ft.Text(say.delete_for_good),
        actions=[
            ft.TextButton(say.keep, on_click=keep),
            ft.FilledButton(say.delete, on_click=delete, bgcolor=ft.Colors.ERROR, color=ft.Colors.ON_ERROR),
        ],
    )
