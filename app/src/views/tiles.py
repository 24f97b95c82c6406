"""Pictures side by side."""

from collections.abc import Callable, Sequence
from functools import partial

import flet as ft

from api.resources import Picture
from state.blurs import blur
from texts.words import Words
from views.look import INK
from views.named import Go, pressable

EXTENT = 220
"""Pixels that a tile is wide at most."""

SPACING = 10

Press = Callable[[str], None]
"""Is told the id of a result."""


def tile(
    picture: Picture, say: Words, press: Press, hold: Press | None = None, *, chosen: bool | None = None
) -> ft.Control:
    """`chosen` is None where pictures are not chosen but opened."""
    blurred = blur(picture.thumb_hash) if picture.thumb_hash else None
    image = ft.Image(
        picture.thumbnail_url,
        fit=ft.BoxFit.COVER,
        width=EXTENT,
        height=EXTENT,
        placeholder_src=blurred,
        placeholder_fit=ft.BoxFit.FILL,
        exclude_from_semantics=True,
        error_content=ft.Icon(ft.Icons.BROKEN_IMAGE_OUTLINED, color=ft.Colors.OUTLINE),
    )
    backed: ft.Control = ft.Container(image, bgcolor=ft.Colors.SURFACE_CONTAINER)
    name = say.picture_of.format(prompt=picture.prompt or "")
    marks: list[ft.Control] = []
    if picture.favorite:
        marks.append(mark(ft.Icons.FAVORITE, right=8))
        name = f"{name}, {say.favorite}"
    if chosen is not None:
        marks.append(mark(ft.Icons.CHECK_CIRCLE if chosen else ft.Icons.RADIO_BUTTON_UNCHECKED, left=8))
    if chosen:
        marks.append(ft.Container(bgcolor=ft.Colors.with_opacity(0.35, ft.Colors.PRIMARY)))
        name = f"{name}, {say.chosen}"
    if marks:
        backed = ft.Stack([backed, *reversed(marks)], fit=ft.StackFit.EXPAND)
    held = partial(hold, picture.id) if hold is not None else None
    return pressable(backed, name, partial(press, picture.id), radius=14, key=picture.id, hold=held)


def mark(icon: ft.IconData, *, left: int | None = None, right: int | None = None) -> ft.Control:
    """Seen on any picture."""
    shown = ft.Icon(icon, size=16, color=INK)
    return ft.Container(shown, left=left, right=right, top=8, padding=5, border_radius=13, bgcolor=ft.Colors.BLACK_45)


def recent(pictures: Sequence[Picture], say: Words, go: Go) -> ft.GridView:
    """A few, in a view that scrolls as a whole."""
    return ft.GridView(
        [tile(picture, say, lambda result_id: go(f"/gallery/{result_id}")) for picture in pictures],
        max_extent=EXTENT,
        spacing=SPACING,
        run_spacing=SPACING,
        child_aspect_ratio=1,
        expand=False,
        scroll=None,
    )
