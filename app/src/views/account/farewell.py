"""What is said to somebody who is a visitor again without having signed out."""

import flet as ft

from state.account import Account
from texts.words import Words


def farewell(account: Account, say: Words) -> ft.AlertDialog | None:
    if account.farewell is None:
        return None
    title, sentence = say.farewells[account.farewell]
    return ft.AlertDialog(
        modal=True,
        title=title,
        content=ft.Text(sentence),
        actions=[ft.FilledButton(say.understood, on_click=account.part, autofocus=True)],
    )
