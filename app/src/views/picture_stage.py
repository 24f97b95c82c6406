"""A picture to be looked at closely: zoomed and moved with fingers, a wheel, or buttons."""

from collections.abc import Mapping
from functools import partial

import flet as ft

from api.resources import Picture
from texts.words import Words
from views.look import INK
from views.named import icon_button

ZOOM = 1.5


@ft.component
def Stage(picture: Picture, say: Words, sides: list[ft.Control], foot: list[ft.Control]) -> ft.Control:
    """`sides` lie over its edges; its own buttons come before those of `foot`."""
    size, _ = ft.use_state({"width": 0.0, "height": 0.0})
    viewer: ft.Ref[ft.InteractiveViewer] = ft.use_memo(ft.Ref, [])

    def measure(event: ft.LayoutSizeChangeEvent[ft.LayoutControl]) -> None:
        size.update(width=event.width, height=event.height)

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
    buttons = [
        icon_button(ft.Icons.ZOOM_OUT, say.zoom_out, partial(zoom, viewer, size, 1 / ZOOM), color=INK),
        icon_button(ft.Icons.FIT_SCREEN, say.fit, partial(fit, viewer), color=INK),
        icon_button(ft.Icons.ZOOM_IN, say.zoom_in, partial(zoom, viewer, size, ZOOM), color=INK),
        *foot,
    ]
    row = ft.Row(buttons, alignment=ft.MainAxisAlignment.CENTER, spacing=0, wrap=True)
    stage = ft.Stack([shown, *sides], fit=ft.StackFit.EXPAND, expand=True)
    return ft.Column([stage, row], spacing=4, expand=True, horizontal_alignment=ft.CrossAxisAlignment.STRETCH)


async def zoom(viewer: ft.Ref[ft.InteractiveViewer], size: Mapping[str, float], factor: float) -> None:
    """About the middle of the stage: the viewer itself scales about its corner."""
    if viewer.current is not None:
        await viewer.current.zoom(factor)
        share = (1 - factor) / factor / 2
        await viewer.current.pan(size["width"] * share, size["height"] * share)


async def fit(viewer: ft.Ref[ft.InteractiveViewer]) -> None:
    if viewer.current is not None:
        await viewer.current.reset()
