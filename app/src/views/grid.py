"""Any number of pictures side by side: what is far from the screen is a space of the same height.

A block of rows is rendered anew only when something in it has changed, and only those near the screen hold tiles: so a
gallery of thousands costs a session, and each of its changes, as much as one of a hundred.
"""

import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace

import flet as ft

from api.resources import Picture
from texts.words import Words
from views.keyed import keyed
from views.tiles import EXTENT, SPACING, Press, tile

ROWS = 4
"""Of a block."""

NEAR = 2
"""Blocks above the screen, and below the one that begins on it, that hold tiles."""

NEAR_THE_END = 900
"""Pixels before the end at which more is asked for."""

SCROLL_MILLISECONDS = 60


@dataclass(frozen=True)
class Touch:
    """What a press does, and a long one.

    Attributes:
        chosen: ids of results; None where pictures are not chosen but opened.
    """

    press: Press
    hold: Press
    chosen: frozenset[str] | None


@ft.component
def Grid(
    pictures: Sequence[Picture], touch: Touch, say: Words, more: Callable[[], Coroutine[None, None, None]]
) -> ft.Control:
    """`more` is called near the end."""
    width, set_width = ft.use_state(0.0)
    top, set_top = ft.use_state(0)
    columns = max(2, math.ceil((width + SPACING) / (EXTENT + SPACING)))
    side = (width - SPACING * (columns - 1)) / columns
    block = ROWS * columns
    height = ROWS * (side + SPACING)

    def measure(event: ft.LayoutSizeChangeEvent[ft.LayoutControl]) -> None:
        set_width(float(event.width))

    async def scrolled(event: ft.OnScrollEvent) -> None:
        set_top(int(max(event.pixels, 0) // height))
        if event.max_scroll_extent - event.pixels < NEAR_THE_END:
            await more()

    def shown(number: int) -> ft.Control:
        some = tuple(pictures[number * block : (number + 1) * block])
        key = f"{columns}-{number}"
        if not top - NEAR <= number <= top + NEAR + 1:
            rows = math.ceil(len(some) / columns)
            return ft.Container(height=rows * (side + SPACING), key=f"far-{key}")
        chosen = None if touch.chosen is None else touch.chosen & {picture.id for picture in some}
        return keyed(f"near-{key}", Block, some, replace(touch, chosen=chosen), say, columns, side)

    blocks = [shown(number) for number in range(math.ceil(len(pictures) / block))] if width else []
    return ft.ListView(
        blocks,
        spacing=0,
        expand=True,
        on_size_change=measure,
        on_scroll=scrolled,
        scroll_interval=SCROLL_MILLISECONDS,
    )


def _block(pictures: Sequence[Picture], touch: Touch, say: Words, columns: int, side: float) -> ft.Control:
    def one(picture: Picture) -> ft.Control:
        is_chosen = None if touch.chosen is None else picture.id in touch.chosen
        shown = tile(picture, say, touch.press, touch.hold, chosen=is_chosen)
        return ft.Container(shown, width=side, height=side, key=picture.id)

    rows: list[ft.Control] = [
        ft.Row([one(picture) for picture in pictures[first : first + columns]], spacing=SPACING, tight=True)
        for first in range(0, len(pictures), columns)
    ]
    return ft.Column([*rows, ft.Container(height=0)], spacing=SPACING, tight=True)


Block: Callable[..., ft.Control] = ft.memo(ft.component(_block))  # type: ignore[no-untyped-call] # Flet's
