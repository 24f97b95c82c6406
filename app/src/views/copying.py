"""A button that copies a text, and says so until the text is another."""

from functools import partial

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
