"""How much room the person's pictures take."""

import flet as ft

from api.accounts import StorageUse
from state.session import Session
from state.storage_use import StorageUsed
from texts.sizes import size
from texts.words import Words
from views.look import card, label, quiet
from views.troubles import trouble, waiting


@ft.component
def Storage(session: Session, say: Words) -> ft.Control:
    used, _ = ft.use_state(StorageUsed(session.client))
    ft.use_effect(used.load, [])
    if used.complaint is not None:
        return trouble(used.complaint, say, used.load)
    if used.known is None:
        return card(waiting(say))
    return card(figures(used.known, say))


def figures(use: StorageUse, say: Words) -> ft.Control:
    lines: list[ft.Control] = [label(say.storage)]
    if use.quota_bytes is None:
        said = say.storage_used.format(used=size(use.used_bytes))
    else:
        said = say.storage_used_of.format(used=size(use.used_bytes), quota=size(use.quota_bytes))
        is_full = use.used_bytes >= use.quota_bytes
        lines.append(
            ft.ProgressBar(
                value=min(use.used_bytes / use.quota_bytes, 1) if use.quota_bytes else 1,
                bar_height=8,
                border_radius=4,
                color=ft.Colors.ERROR if is_full else None,
                semantics_label=said,
            )
        )
        if is_full:
            lines.append(ft.Text(say.errors["storage_full"], color=ft.Colors.ERROR))
    lines.append(ft.Row([ft.Text(said, expand=True), quiet(say.storage_pictures.format(n=use.pictures))]))
    if use.retention_days is not None:
        lines.append(quiet(say.storage_stays.format(n=use.retention_days)))
    return ft.Column(lines, spacing=10, tight=True)
