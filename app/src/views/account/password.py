"""Changing the password."""

from functools import partial

import flet as ft

from state.password import PasswordChange
from state.session import Session
from texts.words import Words
from views.account.column import column
from views.keyed import keyed
from views.look import card, quiet
from views.secret import Secret
from views.troubles import trouble

FIELDS = ("current_password", "new_password")


@ft.component
def PasswordView(session: Session, say: Words) -> ft.Control:
    change, _ = ft.use_state(PasswordChange(session.client))
    typed, _ = ft.use_state(dict.fromkeys(FIELDS, ""))
    missing, set_missing = ft.use_state(frozenset[str]())

    async def submit() -> None:
        empty = frozenset(name for name in FIELDS if not typed[name])
        set_missing(empty)
        if not empty and await change.change(typed["current_password"], typed["new_password"]):
            typed.update(dict.fromkeys(FIELDS, ""))

    wrong = faults(change, missing, say)
    current = keyed(
        "current",
        Secret,
        typed["current_password"],
        partial(typed.__setitem__, "current_password"),
        say,
        submit,
        label=say.current_password,
        hint=ft.AutofillHint.PASSWORD,
        error=wrong.get("current_password"),
    )
    new = keyed(
        "new",
        Secret,
        typed["new_password"],
        partial(typed.__setitem__, "new_password"),
        say,
        submit,
        label=say.new_password,
        hint=ft.AutofillHint.NEW_PASSWORD,
        error=wrong.get("new_password"),
        helper=say.password_rule,
    )
    lines: list[ft.Control] = [quiet(say.password_ends_others), ft.AutofillGroup(column([current, new]))]
    if change.complaint is not None and not wrong:
        lines.append(trouble(change.complaint, say))
    if change.is_unsure:
        lines.append(quiet(say.password_unsure))
    if change.is_done:
        done = ft.Row(
            [
                ft.Icon(ft.Icons.CHECK_CIRCLE_OUTLINE, color=ft.Colors.PRIMARY),
                ft.Text(say.password_changed, expand=True),
            ]
        )
        lines.append(ft.Semantics(content=done, live_region=True))
    lines.append(
        ft.FilledButton(
            say.loading if change.is_busy else say.change_password, on_click=submit, disabled=change.is_busy
        )
    )
    return card(column(lines))


def faults(change: PasswordChange, missing: frozenset[str], say: Words) -> dict[str, str]:
    """What is wrong with each field, in the person's language."""
    wrong = dict.fromkeys(missing, say.required)
    complaint = change.complaint
    if complaint is not None and complaint.code == "wrong_password":
        wrong.setdefault("current_password", say.errors["wrong_password"])
    elif complaint is not None:
        said = {"current_password": say.errors["wrong_password"], "new_password": say.password_rule}
        wrong = {name: said[name] for name in complaint.fields if name in said} | wrong
    return wrong
