"""The account's parts, and the ways between them: one at a time on a phone, beside their list where there is room."""

from collections.abc import Callable

import flet as ft

from state.session import Session, Whereabouts
from texts.words import Words
from views.account.deletion import DeletionView
from views.account.keys import KeysView
from views.account.overview import Overview, who
from views.account.password import PasswordView
from views.account.sessions import SessionsView
from views.keyed import keyed
from views.look import CORNER, GAP, ROOM, card, heading
from views.named import Go, icon_button

COLUMN = 600
MENU = 280

Part = Callable[[Session, Words], ft.Control]

PARTS: dict[str, tuple[ft.IconData, Part]] = {
    "sessions": (ft.Icons.DEVICES, SessionsView),
    "password": (ft.Icons.PASSWORD, PasswordView),
    "keys": (ft.Icons.KEY, KeysView),
    "delete": (ft.Icons.DELETE_FOREVER_OUTLINED, DeletionView),
}
"""Each by the last piece of its route. The account itself is the overview."""


@ft.component
def AccountView(session: Session, whereabouts: Whereabouts, say: Words, go: Go) -> ft.Control:
    part = whereabouts.opened if whereabouts.opened in PARTS else ""
    if whereabouts.is_wide:
        return beside(session, part, say, go)
    lines: list[ft.Control]
    if part:
        back = icon_button(ft.Icons.ARROW_BACK, say.close, lambda: go("/account"))
        lines = [ft.Row([back, heading(titles(say)[part])], spacing=4), content_of(session, part, say)]
    else:
        lines = [
            heading(say.account),
            card(who(session.account)),
            card(ft.Column(ways(tuple(PARTS), part, say, go), spacing=0, tight=True), padding=8),
            keyed("overview", Overview, session, session.preferences, say),
        ]
    return scrolling(lines, GAP, ft.CrossAxisAlignment.CENTER)


def beside(session: Session, part: str, say: Words, go: Go) -> ft.Control:
    menu = ft.Column(
        [
            ft.Container(heading(say.account), padding=ft.Padding(GAP, 0, GAP, GAP)),
            ft.Container(who(session.account), padding=ft.Padding(GAP, 0, GAP, GAP)),
            *ways(("", *PARTS), part, say, go),
        ],
        spacing=4,
    )
    lines: list[ft.Control] = [heading(titles(say)[part])]
    if part:
        lines.append(content_of(session, part, say))
    else:
        lines.append(keyed("overview", Overview, session, session.preferences, say))
    return ft.Row(
        [
            ft.Container(menu, width=MENU, padding=ft.Padding(GAP, ROOM, 0, ROOM)),
            ft.Container(scrolling(lines, ROOM, ft.CrossAxisAlignment.START), expand=True),
        ],
        spacing=0,
        expand=True,
        vertical_alignment=ft.CrossAxisAlignment.STRETCH,
    )


def content_of(session: Session, part: str, say: Words) -> ft.Control:
    return keyed(part, PARTS[part][1], session, say)


def scrolling(lines: list[ft.Control], padding: int, alignment: ft.CrossAxisAlignment) -> ft.Control:
    column = ft.Column(lines, spacing=GAP, width=COLUMN, horizontal_alignment=ft.CrossAxisAlignment.STRETCH)
    return ft.Column(
        [ft.Container(column, padding=padding)],
        scroll=ft.ScrollMode.AUTO,
        expand=True,
        horizontal_alignment=alignment,
    )


def titles(say: Words) -> dict[str, str]:
    return {
        "": say.overview,
        "sessions": say.devices,
        "password": say.change_password,
        "keys": say.api_keys,
        "delete": say.delete_account,
    }


def ways(parts: tuple[str, ...], chosen: str, say: Words, go: Go) -> list[ft.Control]:
    return [way(part, titles(say)[part], go, is_chosen=part == chosen) for part in parts]


def way(part: str, title: str, go: Go, *, is_chosen: bool) -> ft.Control:
    icon = PARTS[part][0] if part else ft.Icons.PERSON_OUTLINE
    tile = ft.ListTile(
        title=title,
        leading=icon,
        trailing=None if is_chosen else ft.Icons.CHEVRON_RIGHT,
        selected=is_chosen,
        selected_tile_color=ft.Colors.SECONDARY_CONTAINER,
        shape=ft.RoundedRectangleBorder(radius=CORNER),
        on_click=lambda: go(f"/account/{part}".rstrip("/")),
    )
    return ft.MergeSemantics(key=f"way-{part}", content=ft.Semantics(content=tile, button=True))
