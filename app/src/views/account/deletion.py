"""Deleting the account: what goes with it, taking everything along before, and the password that confirms it."""

from functools import partial

import flet as ft

from state.leaving import Deletion, Export
from state.session import Session
from texts.words import Words
from views.account.column import column
from views.keyed import keyed
from views.look import card, quiet
from views.saving import in_a_tab
from views.secret import Secret
from views.troubles import trouble


@ft.component
def DeletionView(session: Session, say: Words) -> ft.Control:
    return column([keyed("export", ExportCard, session, say), keyed("deletion", DeletionCard, session, say)])


@ft.component
def ExportCard(session: Session, say: Words) -> ft.Control:
    export, _ = ft.use_state(Export(session.client, session.saver))
    lines: list[ft.Control] = [quiet(say.export_about)]
    if export.complaint is not None:
        lines.append(trouble(export.complaint, say))
    lines.append(
        ft.FilledTonalButton(
            say.loading if export.is_busy else say.export,
            icon=ft.Icons.CHECK if export.is_done else ft.Icons.DOWNLOAD,
            action=in_a_tab(export.saving_url),
            on_click=export.run,
            disabled=export.is_busy,
        )
    )
    return card(column(lines))


@ft.component
def DeletionCard(session: Session, say: Words) -> ft.Control:
    deletion, _ = ft.use_state(Deletion(session.client))
    typed, _ = ft.use_state({"password": ""})
    is_missing, set_is_missing = ft.use_state(False)

    async def submit() -> None:
        set_is_missing(not typed["password"])
        if typed["password"] and await deletion.run(typed["password"]):
            session.end("deleted")

    complaint = deletion.complaint
    is_wrong = complaint is not None and (complaint.code == "wrong_password" or "password" in complaint.fields)
    error = say.errors["wrong_password"] if is_wrong else None
    things: list[ft.Control] = [
        ft.Row(
            [ft.Icon(ft.Icons.REMOVE_CIRCLE_OUTLINE, size=18, color=ft.Colors.ERROR), ft.Text(thing, expand=True)],
            spacing=12,
        )
        for thing in say.deleted_with_account
    ]
    lines: list[ft.Control] = [
        ft.Text(say.delete_account_about),
        ft.Column(things, spacing=8, tight=True),
        keyed(
            "password",
            Secret,
            typed["password"],
            partial(typed.__setitem__, "password"),
            say,
            submit,
            label=say.confirm_password,
            hint=ft.AutofillHint.PASSWORD,
            error=say.required if is_missing else error,
        ),
    ]
    if complaint is not None and not is_wrong:
        lines.append(trouble(complaint, say))
    lines.append(
        ft.FilledButton(
            say.loading if deletion.is_busy else say.delete_account_now,
            on_click=submit,
            disabled=deletion.is_busy,
            bgcolor=ft.Colors.ERROR,
            color=ft.Colors.ON_ERROR,
        )
    )
    return card(column(lines))
