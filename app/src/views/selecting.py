"""What can be done with the chosen pictures."""

import flet as ft

from state.gallery import Gallery
from state.selection import Selection
from texts.words import Words
from views.named import icon_button
from views.saving import in_a_tab
from views.troubles import trouble


@ft.component
def SelectionBar(selection: Selection, gallery: Gallery, say: Words) -> ft.Control:
    number = sum(picture.id in selection.ids for picture in gallery.pictures)
    is_idle = number > 0 and not selection.is_saving
    row = ft.Row(
        [
            icon_button(ft.Icons.CLOSE, say.end_choosing, selection.end),
            ft.Semantics(
                content=ft.Text(say.chosen_count.format(n=number), theme_style=ft.TextThemeStyle.TITLE_MEDIUM),
                live_region=True,
                expand=True,
            ),
            icon_button(ft.Icons.SELECT_ALL, say.choose_all, selection.take_all),
            icon_button(
                ft.Icons.FOLDER_ZIP_OUTLINED,
                say.save_chosen,
                selection.save,
                disabled=not is_idle,
                at_once=in_a_tab(selection.saving_url),
            ),
            icon_button(ft.Icons.DELETE_OUTLINE, say.delete_chosen, selection.delete, disabled=not is_idle),
        ],
        spacing=4,
    )
    lines: list[ft.Control] = [ft.Container(row, padding=4, border_radius=14, bgcolor=ft.Colors.SURFACE_CONTAINER_HIGH)]
    if selection.is_saving:
        lines.append(ft.ProgressBar(border_radius=4, semantics_label=say.loading))
    if selection.complaint is not None:
        lines.append(trouble(selection.complaint, say, selection.save))
    return ft.Column(lines, spacing=8, tight=True)
