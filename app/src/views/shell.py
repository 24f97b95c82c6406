"""The frame of everything: which views there are, and the ways between them."""

import flet as ft

from state.session import OPERATORS_PLACES, PLACES, Place, Session, Whereabouts
from texts import WORDS
from texts.words import Words
from views.account.farewell import farewell
from views.account.frame import AccountView
from views.create import Create
from views.gallery import GalleryView
from views.keyed import keyed
from views.named import Go
from views.operate import OperateView
from views.picture import picture_view
from views.troubles import waiting
from views.undo import with_undo
from views.welcome import Welcome

ICONS: dict[Place, tuple[ft.IconData, ft.IconData]] = {
    "create": (ft.Icons.AUTO_AWESOME_OUTLINED, ft.Icons.AUTO_AWESOME),
    "gallery": (ft.Icons.PHOTO_LIBRARY_OUTLINED, ft.Icons.PHOTO_LIBRARY),
    "account": (ft.Icons.PERSON_OUTLINE, ft.Icons.PERSON),
    "operate": (ft.Icons.MEMORY_OUTLINED, ft.Icons.MEMORY),
}
"""Usual, and when chosen."""


@ft.component
def Views(session: Session, go: Go) -> list[ft.View]:
    account, _ = ft.use_state(session.account)
    preferences, _ = ft.use_state(session.preferences)
    whereabouts, _ = ft.use_state(session.whereabouts)
    say = WORDS[preferences.language]
    ft.use_dialog(farewell(account, say))
    if account.phase == "member":
        views = [home(session, whereabouts, say, go)]
        if whereabouts.opened and whereabouts.place in ("create", "gallery"):
            views.append(picture_view(session, whereabouts, say, go))
        return views
    if account.phase == "visitor":
        content = keyed("welcome", Welcome, session, account, preferences, is_wide=whereabouts.is_wide)
    else:
        content = waiting(say, say.reconnecting if account.complaint is not None else "")
    return [ft.View(route="/", padding=0, controls=[content])]


def home(session: Session, whereabouts: Whereabouts, say: Words, go: Go) -> ft.View:
    titles = {"create": say.create, "gallery": say.gallery, "account": say.account, "operate": say.operate}
    user = session.account.user
    places = OPERATORS_PLACES if user is not None and user.role == "operator" else PLACES

    def change(event: ft.Event[ft.NavigationBar] | ft.Event[ft.NavigationRail]) -> None:
        go(f"/{places[event.control.selected_index or 0]}")

    place = whereabouts.place
    placed = ft.SafeArea(place_of(session, whereabouts, say, go), expand=True)
    content = with_undo(placed, session.deleting, say)
    chosen = places.index(place) if place in places else None
    if not whereabouts.is_wide:
        bar = ft.NavigationBar(
            [
                ft.NavigationBarDestination(icon=ICONS[each][0], selected_icon=ICONS[each][1], label=titles[each])
                for each in places
            ],
            selected_index=chosen or 0,
            on_change=change,
        )
        return ft.View(route="/", padding=0, controls=[content], navigation_bar=bar)
    rail = ft.NavigationRail(
        [
            ft.NavigationRailDestination(icon=ICONS[each][0], selected_icon=ICONS[each][1], label=titles[each])
            for each in places
        ],
        selected_index=chosen,
        label_type=ft.NavigationRailLabelType.ALL,
        group_alignment=-0.9,
        min_width=96,
        bgcolor=ft.Colors.SURFACE_CONTAINER_LOW,
        on_change=change,
    )
    row = ft.Row([rail, content], expand=True, spacing=0, vertical_alignment=ft.CrossAxisAlignment.STRETCH)
    return ft.View(route="/", padding=0, controls=[row])


def place_of(session: Session, whereabouts: Whereabouts, say: Words, go: Go) -> ft.Control:
    match whereabouts.place:
        case "gallery":
            return keyed("gallery", GalleryView, session, session.gallery, session.selection, say, go)
        case "account":
            return keyed("account", AccountView, session, whereabouts, say, go)
        case "operate":
            return keyed("operate", OperateView, session, say)
    return keyed("create", Create, session, say, go, is_wide=whereabouts.is_wide)
