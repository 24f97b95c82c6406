"""Making an API key, and handing its secret over."""

from collections.abc import Callable, Coroutine
from typing import cast, get_args

import flet as ft

from api.api_keys import Scope
from state.api_keys import KeyDraft, Life
from state.session import Session
from texts.words import Words
from views.account.column import column
from views.copying import Copy, selectable
from views.keyed import keyed
from views.look import GAP, card, field, label, quiet
from views.named import Action
from views.toggle import toggle
from views.troubles import trouble

SCOPE_WIDTH = 140
"""Pixels: room for the longest name when it is twice as large."""


@ft.component
def NewKey(
    session: Session, say: Words, made: Callable[[], Coroutine[None, None, None]], close: Callable[[], None]
) -> ft.Control:
    draft, _ = ft.use_state(KeyDraft(session.client))
    is_pressed, set_is_pressed = ft.use_state(False)

    async def submit() -> None:
        set_is_pressed(True)
        if draft.name.strip() and draft.scopes and await draft.submit():
            await made()

    def take() -> None:
        draft.take()
        close()

    secret = draft.made.key if draft.made is not None else None
    ft.use_dialog(handing_over(secret, say, take) if secret else None)
    wrong = draft.complaint.fields if draft.complaint is not None else {}
    user = session.account.user
    allowed = [each for each in get_args(Scope) if each != "admin" or (user is not None and user.role == "operator")]
    lines: list[ft.Control] = [
        keyed("name", NameField, draft, say, submit, is_pressed=is_pressed),
        label(say.key_scopes),
        *(scope_row(draft, scope, say) for scope in allowed),
    ]
    if is_pressed and not draft.scopes:
        lines.append(ft.Text(say.key_scope_needed, color=ft.Colors.ERROR, size=12))
    lines += [label(say.key_life), lives(draft, say)]
    if draft.complaint is not None and "name" not in wrong:
        lines.append(trouble(draft.complaint, say))
    buttons: list[ft.Control] = [
        ft.TextButton(say.cancel, on_click=close),
        ft.FilledButton(say.loading if draft.is_busy else say.make_key, on_click=submit, disabled=draft.is_busy),
    ]
    lines.append(ft.Row(buttons, alignment=ft.MainAxisAlignment.END))
    return card(column(lines))


@ft.component
def NameField(draft: KeyDraft, say: Words, submit: Action, *, is_pressed: bool) -> ft.Control:
    def typed(event: ft.Event[ft.TextField]) -> None:
        draft.name = event.control.value or ""

    wrong = say.required if is_pressed and not draft.name.strip() else None
    if draft.complaint is not None and "name" in draft.complaint.fields:
        wrong = say.key_name_rule
    return field(
        value=draft.name,
        label=say.key_name,
        hint_text=say.key_name_hint,
        max_length=64,
        counter="",
        autofocus=True,
        error=wrong,
        on_change=typed,
        on_submit=submit,
    )


def scope_row(draft: KeyDraft, scope: Scope, say: Words) -> ft.Control:
    is_chosen = scope in draft.scopes

    def choose() -> None:
        draft.choose(scope, is_chosen=not is_chosen)

    chip = toggle(say.scope_names[scope], choose, is_on=is_chosen)
    about = ft.Container(quiet(say.scopes[scope]), expand=True)
    return ft.Row(
        [ft.Container(chip, width=SCOPE_WIDTH, alignment=ft.Alignment.CENTER_LEFT), about], spacing=8, key=scope
    )


def lives(draft: KeyDraft, say: Words) -> ft.Control:
    def chosen(event: ft.Event[ft.SegmentedButton]) -> None:
        draft.life = cast("Life", event.control.selected[0])

    return ft.SegmentedButton(
        [ft.Segment(value=life, label=ft.Text(said, size=13, no_wrap=True)) for life, said in say.key_lives.items()],
        selected=[draft.life],
        show_selected_icon=False,
        style=ft.ButtonStyle(padding=ft.Padding.symmetric(horizontal=2)),
        on_change=chosen,
    )


def handing_over(secret: str, say: Words, take: Action) -> ft.AlertDialog:
    shown = ft.Container(
        selectable(secret),
        padding=GAP,
        border_radius=12,
        bgcolor=ft.Colors.SURFACE_CONTAINER_HIGHEST,
    )
    warning = ft.Row(
        [ft.Icon(ft.Icons.WARNING_AMBER_ROUNDED, color=ft.Colors.ERROR), ft.Text(say.key_once, expand=True)],
        spacing=12,
    )
    return ft.AlertDialog(
        modal=True,
        scrollable=True,
        title=say.key_made,
        content=ft.Column([warning, shown], spacing=GAP, tight=True, width=420),
        actions=[
            ft.TextButton(say.key_taken, on_click=take),
            keyed("copy", Copy, secret, say.copy, say),
        ],
    )
