"""A password that is typed, hidden until its writer wants to see it."""

from collections.abc import Callable

import flet as ft

from texts.words import Words
from views.look import field
from views.named import Action, icon_button


@ft.component
def Secret(
    value: str,
    keep: Callable[[str], None],
    say: Words,
    submit: Action,
    *,
    label: str,
    hint: ft.AutofillHint | None = None,
    error: str | None = None,
    helper: str | None = None,
) -> ft.Control:
    """`keep` is told of what is typed."""
    is_hidden, set_is_hidden = ft.use_state(True)

    def typed(event: ft.Event[ft.TextField]) -> None:
        keep(event.control.value or "")

    return field(
        value=value,
        label=label,
        autofill_hints=[hint] if hint is not None else None,
        password=is_hidden,
        on_change=typed,
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
