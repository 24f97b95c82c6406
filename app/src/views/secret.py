"""A password that is typed, hidden until its writer wants to see it."""

from collections.abc import MutableMapping

import flet as ft

from texts.words import Words
from views.look import field
from views.named import Action, icon_button


@ft.component
def Secret(
    typed: MutableMapping[str, str],
    name: str,
    say: Words,
    submit: Action,
    *,
    label: str,
    hint: ft.AutofillHint,
    error: str | None = None,
    helper: str | None = None,
) -> ft.Control:
    """Keeps what is typed in `typed` by the field's name, and shows what is there."""
    is_hidden, set_is_hidden = ft.use_state(True)

    def keep(event: ft.Event[ft.TextField]) -> None:
        typed[name] = event.control.value or ""

    return field(
        value=typed[name],
        label=label,
        autofill_hints=[hint],
        password=is_hidden,
        on_change=keep,
        on_submit=submit,
        error=error,
        error_max_lines=3,
        helper=helper,
        helper_max_lines=3,
        suffix_icon=icon_button(
            ft.Icons.VISIBILITY if is_hidden else ft.Icons.VISIBILITY_OFF,
            say.show_password if is_hidden else say.hide_password,
            lambda: set_is_hidden(not is_hidden),
        ),
    )
