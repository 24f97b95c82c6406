"""What is looked for in the gallery."""

import flet as ft

from state.catalogue import Catalogue
from state.gallery import DAYS, Gallery
from state.preferences import Preferences
from texts.words import Words
from views.look import field
from views.named import icon_button
from views.toggle import toggle


@ft.component
def Filters(gallery: Gallery, catalogue: Catalogue, preferences: Preferences, say: Words) -> ft.Control:
    def typed(event: ft.Event[ft.TextField]) -> None:
        gallery.type_text(event.control.value or "")

    search = field(
        key=f"search-{gallery.cleared}",
        value=None,
        label=say.search,
        dense=True,
        prefix_icon=ft.Icons.SEARCH,
        suffix_icon=icon_button(ft.Icons.CLOSE, say.clear_filters, gallery.clear_filters)
        if gallery.is_filtered
        else None,
        on_change=typed,
        on_submit=gallery.load,
    )
    chips: list[ft.Control] = [
        chip(gallery, say.favorites, "favorite", wanted=True, otherwise=False),
        *(chip(gallery, say.periods[period], "period", wanted=period) for period in DAYS),
        *(
            chip(gallery, model.display_names.said_in(preferences.language), "model", wanted=model.name, otherwise="")
            for model in catalogue.models
        ),
    ]
    row = ft.Row(chips, spacing=8, scroll=ft.ScrollMode.HIDDEN)
    return ft.Column([search, row], spacing=8, tight=True, horizontal_alignment=ft.CrossAxisAlignment.STRETCH)


def chip(gallery: Gallery, label: str, name: str, *, wanted: object, otherwise: object = None) -> ft.Control:
    """Pressed again, it wants nothing."""
    is_wanted = getattr(gallery, name) == wanted

    def choose() -> None:
        gallery.filter(**{name: otherwise if is_wanted else wanted})

    return toggle(label, choose, is_on=is_wanted, key=label)
