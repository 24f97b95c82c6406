"""Everything that a person has made."""

import flet as ft

from state.gallery import Gallery
from texts.words import Words
from views.look import GAP, ROOM, heading
from views.named import Go
from views.tiles import tiles
from views.troubles import blank, trouble, waiting

NEAR_THE_END = 900
"""Pixels before the end at which the next page is asked for."""


@ft.component
def GalleryView(gallery: Gallery, say: Words, go: Go) -> ft.Control:
    async def scrolled(event: ft.OnScrollEvent) -> None:
        if event.max_scroll_extent - event.pixels < NEAR_THE_END and gallery.complaint is None:
            await gallery.load_more()

    if not gallery.pictures:
        if gallery.complaint is not None:
            box = ft.Container(trouble(gallery.complaint, say, gallery.load), width=480)
            return ft.Container(box, padding=ROOM, alignment=ft.Alignment.CENTER, expand=True)
        if gallery.is_loading:
            return waiting(say)
        create = ft.FilledButton(say.create, icon=ft.Icons.AUTO_AWESOME, on_click=lambda: go("/create"))
        return blank(ft.Icons.PHOTO_LIBRARY_OUTLINED, say.gallery_empty, say.gallery_empty_advice, create)
    lines: list[ft.Control] = [heading(say.gallery), tiles(gallery.pictures, say, go, on_scroll=scrolled)]
    if gallery.complaint is not None:
        lines.append(trouble(gallery.complaint, say, gallery.load_more))
    return ft.Container(ft.Column(lines, spacing=GAP, expand=True), padding=GAP, expand=True)
