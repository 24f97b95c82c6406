"""Everything that a person has made: looked for, looked through, chosen."""

from functools import partial

import flet as ft

from state.gallery import Gallery
from state.selection import Selection
from state.session import Session
from texts.words import Words
from views.filters import Filters
from views.grid import Grid, Touch
from views.keyed import keyed
from views.look import GAP, ROOM, heading
from views.named import Go, icon_button
from views.selecting import SelectionBar
from views.troubles import blank, trouble, waiting


@ft.component
def GalleryView(session: Session, gallery: Gallery, selection: Selection, say: Words, go: Go) -> ft.Control:
    def open_it(result_id: str) -> None:
        go(f"/gallery/{result_id}")

    ft.use_effect(gallery.look, [])
    # It stays the same from one rendering to the next, so that no tile is rendered anew for it.
    opening = ft.use_callback(open_it, [])
    pictures = gallery.pictures
    if not pictures and not gallery.is_filtered:
        return nothing_yet(gallery, say, go)
    lines: list[ft.Control] = [
        keyed("selecting", SelectionBar, selection, gallery, say) if selection.is_on else head(gallery, selection, say),
        keyed("filters", Filters, gallery, session.catalogue, session.preferences, say),
    ]
    if gallery.complaint is not None:
        lines.append(trouble(gallery.complaint, say, gallery.load_more if pictures else gallery.load))
    if pictures:
        chosen = selection.ids if selection.is_on else None
        touch = Touch(selection.toggle if selection.is_on else opening, selection.begin, chosen)
        lines.append(keyed("grid", Grid, pictures, touch, say, gallery.load_more))
    elif gallery.is_loading:
        lines.append(waiting(say))
    elif gallery.complaint is None:
        again = ft.FilledButton(say.clear_filters, on_click=gallery.clear_filters)
        lines.append(blank(ft.Icons.SEARCH_OFF, say.nothing_found, say.nothing_found_advice, again))
    return ft.Container(ft.Column(lines, spacing=12, expand=True), padding=GAP, expand=True)


def nothing_yet(gallery: Gallery, say: Words, go: Go) -> ft.Control:
    if gallery.complaint is not None:
        box = ft.Container(trouble(gallery.complaint, say, gallery.load), width=480)
        return ft.Container(box, padding=ROOM, alignment=ft.Alignment.CENTER, expand=True)
    if gallery.is_loading:
        return waiting(say)
    create = ft.FilledButton(say.create, icon=ft.Icons.AUTO_AWESOME, on_click=lambda: go("/create"))
    return blank(ft.Icons.PHOTO_LIBRARY_OUTLINED, say.gallery_empty, say.gallery_empty_advice, create)


def head(gallery: Gallery, selection: Selection, say: Words) -> ft.Control:
    return ft.Row(
        [
            ft.Container(heading(say.gallery), expand=True),
            icon_button(ft.Icons.REFRESH, say.refresh, gallery.load),
            icon_button(
                ft.Icons.CHECKLIST, say.choose_pictures, partial(selection.begin, ""), disabled=not gallery.pictures
            ),
        ],
        spacing=4,
    )
