"""Pictures side by side."""

from collections.abc import Callable, Sequence

import flet as ft

from api.resources import Picture
from texts.words import Words
from views.look import INK
from views.named import Go, pressable

EXTENT = 220
"""Pixels that a tile is wide at most."""


def tile(picture: Picture, say: Words, open_it: Callable[[], None]) -> ft.Control:
    image = ft.Image(
        picture.thumbnail_url,
        fit=ft.BoxFit.COVER,
        width=EXTENT,
        height=EXTENT,
        gapless_playback=True,
        exclude_from_semantics=True,
        error_content=ft.Icon(ft.Icons.BROKEN_IMAGE_OUTLINED, color=ft.Colors.OUTLINE),
    )
    backed: ft.Control = ft.Container(image, bgcolor=ft.Colors.SURFACE_CONTAINER)
    name = say.picture_of.format(prompt=picture.prompt or "")
    if picture.favorite:
        backed, name = ft.Stack([backed, heart()], fit=ft.StackFit.EXPAND), f"{name}, {say.favorite}"
    return pressable(backed, name, open_it, radius=14, key=picture.id)


def heart() -> ft.Control:
    """Seen on any picture."""
    icon = ft.Icon(ft.Icons.FAVORITE, size=16, color=INK)
    return ft.Container(icon, right=8, top=8, padding=5, border_radius=13, bgcolor=ft.Colors.BLACK_45)


def tiles(
    pictures: Sequence[Picture],
    say: Words,
    go: Go,
    *,
    scroll: bool = True,
    on_scroll: Callable[[ft.OnScrollEvent], object] | None = None,
) -> ft.GridView:
    def opening(result_id: str) -> Callable[[], None]:
        return lambda: go(f"/gallery/{result_id}")

    return ft.GridView(
        [tile(picture, say, opening(picture.id)) for picture in pictures],
        max_extent=EXTENT,
        spacing=10,
        run_spacing=10,
        child_aspect_ratio=1,
        expand=scroll,
        scroll=ft.ScrollMode.AUTO if scroll else None,
        on_scroll=on_scroll,
        scroll_interval=100,
    )
