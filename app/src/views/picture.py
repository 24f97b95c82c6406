"""One picture, as large as the screen, and what can be done with it."""

from functools import partial

import flet as ft

from api.pictures import Format
from api.resources import Picture
from state.opened import OpenedPicture
from state.session import Session, Whereabouts
from texts.words import Words
from views.keyed import keyed
from views.look import GAP, INK, theme
from views.named import Action, Go, icon_button, named
from views.picture_details import details, panel
from views.picture_stage import Stage
from views.saving import in_a_tab
from views.share import ShareSheet
from views.sheet import sheet
from views.troubles import blank, explain, waiting
from views.undo import with_undo

GROUND = "#101014"
PANEL = 340

FORMATS: dict[Format, str] = {"png": "PNG", "jpeg": "JPEG", "webp": "WebP"}


def picture_view(session: Session, whereabouts: Whereabouts, say: Words, go: Go) -> ft.View:
    result_id = whereabouts.opened
    view = keyed(result_id, PictureView, session, whereabouts, result_id, say, go)
    dark = ft.Container(
        ft.SafeArea(view, expand=True),
        theme_mode=ft.ThemeMode.DARK,
        dark_theme=theme(is_dark=True),
        expand=True,
    )
    listening = ft.KeyboardListener(dark, autofocus=True, on_key_down=partial(pressed, session, go), expand=True)
    return ft.View(
        route="/picture",
        padding=0,
        bgcolor=GROUND,
        fullscreen_dialog=True,
        controls=[with_undo(listening, session.deleting, say)],
    )


def pressed(session: Session, go: Go, event: ft.KeyDownEvent) -> None:
    """Arrows turn over to the next picture, Escape leaves."""
    match event.key:
        case "Arrow Left":
            turn(session, go, -1)
        case "Arrow Right":
            turn(session, go, 1)
        case "Escape":
            leave(session, go)


def turn(session: Session, go: Go, step: int) -> None:
    other = session.gallery.neighbour(session.whereabouts.opened, step)
    if other is not None:
        go(f"/{session.whereabouts.place}/{other.id}")


def leave(session: Session, go: Go) -> None:
    go(f"/{session.whereabouts.place}")


@ft.component
def PictureView(session: Session, whereabouts: Whereabouts, result_id: str, say: Words, go: Go) -> ft.Control:
    gallery, _ = ft.use_state(session.gallery)
    picture = gallery.find(result_id)
    ft.use_effect(partial(gallery.reach, result_id), [result_id])
    if picture is None and gallery.missing != result_id:
        return waiting(say)
    if picture is None:
        back = ft.FilledButton(say.close, on_click=partial(leave, session, go))
        return blank(ft.Icons.IMAGE_NOT_SUPPORTED_OUTLINED, say.picture_gone, "", back)
    return keyed("opened", Opened, session, whereabouts, picture, say, go)


@ft.component
def Opened(session: Session, whereabouts: Whereabouts, picture: Picture, say: Words, go: Go) -> ft.Control:
    opened = ft.use_memo(lambda: OpenedPicture(session, picture.id), [picture.id])
    ft.use_state(opened)
    is_sharing, set_is_sharing = ft.use_state(False)
    is_wide, is_informed = whereabouts.is_wide, whereabouts.shows_details

    async def inform() -> None:
        if is_informed:
            await opened.load_recipe()

    def fold() -> None:
        whereabouts.shows_details = False

    ft.use_effect(inform, [is_informed])
    facts = details(picture, opened, session.catalogue, say)
    below = sheet(say.details, facts, say, fold, is_wide=False, is_tall=False)
    ft.use_dialog(below if is_informed and not is_wide else None)
    size = " · ".join([f"{picture.width} × {picture.height}", *([picture.model] if picture.model else [])])
    told = ft.Text(notice(opened, say) or size, size=13, color=ft.Colors.WHITE_70, text_align=ft.TextAlign.CENTER)
    column = ft.Column(
        [
            head(session, whereabouts, opened, picture, lambda: set_is_sharing(True), say, go),
            keyed("stage", Stage, picture, say, sides(session, picture, say, go), foot(opened, picture, say, go)),
            ft.Container(ft.Semantics(content=told, live_region=True), padding=ft.Padding(GAP, 0, GAP, 12)),
        ],
        spacing=0,
        expand=True,
        horizontal_alignment=ft.CrossAxisAlignment.STRETCH,
    )
    shown: list[ft.Control] = [column]
    if is_informed and is_wide:
        shown.append(panel(facts, PANEL))
    if is_sharing:
        close = partial(set_is_sharing, False)
        shown.append(keyed("share", ShareSheet, session, picture, say, close, is_wide=is_wide))
    return ft.Row(shown, spacing=0, expand=True, vertical_alignment=ft.CrossAxisAlignment.STRETCH)


def notice(opened: OpenedPicture, say: Words) -> str:
    """What there is to tell of what was done last; empty: nothing."""
    if opened.complaint is not None:
        return explain(opened.complaint, say)
    return {"": "", "busy": say.loading, "done": say.downloaded}[opened.saving]


def head(  # noqa: PLR0917 - all that its buttons lead to
    session: Session,
    whereabouts: Whereabouts,
    opened: OpenedPicture,
    picture: Picture,
    share: Action,
    say: Words,
    go: Go,
) -> ft.Control:
    is_informed = whereabouts.shows_details

    def fold() -> None:
        whereabouts.shows_details = not is_informed

    heart = ft.Icons.FAVORITE if picture.favorite else ft.Icons.FAVORITE_BORDER
    row = [
        icon_button(ft.Icons.ARROW_BACK, say.close, partial(leave, session, go), color=INK),
        ft.Text(picture.prompt or "", max_lines=1, overflow=ft.TextOverflow.ELLIPSIS, color=INK, expand=True),
        icon_button(heart, say.unmark if picture.favorite else say.mark, partial(opened.mark, picture), color=INK),
        icon_button(ft.Icons.SHARE_OUTLINED, say.share, share, color=INK),
        icon_button(ft.Icons.INFO if is_informed else ft.Icons.INFO_OUTLINE, say.details, fold, color=INK),
    ]
    return ft.Container(ft.Row(row, spacing=0), padding=8)


def sides(session: Session, picture: Picture, say: Words, go: Go) -> list[ft.Control]:
    """The ways to the pictures before and after it; none at the end."""

    def way(icon: ft.IconData, name: str, step: int) -> ft.Control:
        button = icon_button(icon, name, partial(turn, session, go, step), color=INK)
        return ft.Container(
            ft.Container(button, bgcolor=ft.Colors.BLACK_38, border_radius=24),
            visible=session.gallery.neighbour(picture.id, step) is not None,
            alignment=ft.Alignment.CENTER,
            top=0,
            bottom=0,
            left=8 if step < 0 else None,
            right=8 if step > 0 else None,
        )

    return [way(ft.Icons.CHEVRON_LEFT, say.previous, -1), way(ft.Icons.CHEVRON_RIGHT, say.next, 1)]


def foot(opened: OpenedPicture, picture: Picture, say: Words, go: Go) -> list[ft.Control]:
    session = opened.session

    async def use_again() -> None:
        if await opened.use_again():
            go("/create")

    def delete() -> None:
        session.deleting.delete([picture])
        leave(session, go)

    items = [ft.PopupMenuItem(FORMATS[each], on_click=partial(opened.choose, each)) for each in FORMATS]
    kind: list[ft.Control] = [
        ft.Text(FORMATS[opened.kind], color=INK),
        ft.Icon(ft.Icons.ARROW_DROP_DOWN, color=INK),
    ]
    label = ft.Container(ft.Row(kind, spacing=0, tight=True), padding=8)
    menu = ft.PopupMenuButton(label, items=items, tooltip="")
    save = in_a_tab(opened.saving_url)
    return [
        icon_button(ft.Icons.REPLAY, say.use_again, use_again, color=INK),
        icon_button(ft.Icons.DELETE_OUTLINE, say.delete, delete, color=INK),
        icon_button(ft.Icons.DOWNLOAD, say.download, opened.download, color=INK, at_once=save),
        named(menu, say.formats),
    ]
