"""Texts that are taken elsewhere: by a button that copies one and says so until the text is another, or by hand."""

from functools import partial
from typing import Any

import flet as ft

from texts.words import Words


@ft.component
def Copy(text: str, name: str, say: Words, *, is_quiet: bool = False) -> ft.Control:
    """Copies within the click: a browser allows it at no other time."""
    copied, set_copied = ft.use_state("")
    kind = ft.TextButton if is_quiet else ft.FilledButton
    button = kind(
        say.copied if copied == text else name,
        icon=ft.Icons.CHECK if copied == text else ft.Icons.CONTENT_COPY,
        action=ft.CopyToClipboard(text),
        on_click=partial(set_copied, text),
    )
    return ft.Semantics(content=button, live_region=True)


def selectable(text: str, **properties: Any) -> ft.Control:
    """What can be selected is an empty field to those who do not see it; so they are told the text itself."""
    return ft.Semantics(content=ft.Text(text, selectable=True, **properties), exclude_semantics=True, label=text)
