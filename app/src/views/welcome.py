"""The first screen of somebody who is not signed in: what this is, and the door."""

from functools import partial

import flet as ft

from state.account import Account
from state.preferences import Preferences
from state.session import Session
from texts import WORDS
from texts.words import Words
from views.keyed import keyed
from views.look import ACCENT, GAP, READABLE, ROOM, chinese_name, field, heading, quiet
from views.secret import Secret
from views.troubles import trouble


@ft.component
def Welcome(session: Session, account: Account, preferences: Preferences, *, is_wide: bool) -> ft.Control:
    say = WORDS[preferences.language]
    door = keyed("door", Door, session, account, say)
    other = ft.TextButton(
        chinese_name() if preferences.language == "en" else "English",
        icon=ft.Icons.TRANSLATE,
        on_click=partial(preferences.speak, "en" if preferences.language == "zh" else "zh"),
    )
    if is_wide:
        content: ft.Control = ft.Row(
            [ft.Container(introduction(say, is_wide=True), expand=True), ft.Container(door, width=READABLE)],
            spacing=96,
            vertical_alignment=ft.CrossAxisAlignment.CENTER,
        )
        content = ft.Container(content, width=1080, padding=48)
    else:
        content = ft.Column([introduction(say, is_wide=False), door], spacing=ROOM)
        content = ft.Container(content, padding=ROOM)
    page = ft.Column(
        [ft.Container(content, alignment=ft.Alignment.CENTER)],
        scroll=ft.ScrollMode.AUTO,
        expand=True,
        alignment=ft.MainAxisAlignment.CENTER,
        horizontal_alignment=ft.CrossAxisAlignment.CENTER,
    )
    return ft.SafeArea(
        ft.Column(
            [ft.Container(ft.Row([other], alignment=ft.MainAxisAlignment.END), padding=8), page], spacing=0, expand=True
        ),
        expand=True,
    )


def introduction(say: Words, *, is_wide: bool) -> ft.Control:
    mark = ft.Container(
        ft.Icon(ft.Icons.LANDSCAPE_ROUNDED, color=ft.Colors.WHITE, size=34),
        width=64,
        height=64,
        border_radius=18,
        bgcolor=ACCENT,
        alignment=ft.Alignment.CENTER,
    )
    lines: list[ft.Control] = [
        mark,
        ft.Semantics(
            content=ft.Text("ImageGen", size=44 if is_wide else 32, weight=ft.FontWeight.W_700),
            header=True,
        ),
        ft.Text(say.slogan, size=20 if is_wide else 17, color=ft.Colors.ON_SURFACE_VARIANT),
    ]
    promises = (
        (ft.Icons.MEMORY_ROUNDED, say.promise_own),
        (ft.Icons.TIMELAPSE_ROUNDED, say.promise_seen),
        (ft.Icons.LOCK_OUTLINE_ROUNDED, say.promise_kept),
    )
    lines += [
        ft.Row([ft.Icon(icon, size=20, color=ft.Colors.PRIMARY), ft.Container(quiet(text), expand=True)], spacing=12)
        for icon, text in promises
    ]
    return ft.Column(lines, spacing=GAP, tight=True)


@ft.component
def Door(session: Session, account: Account, say: Words) -> ft.Control:
    is_new, set_is_new = ft.use_state(False)
    missing, set_missing = ft.use_state(frozenset[str]())
    typed, _ = ft.use_state({"username": "", "email": "", "password": ""})
    names = ("username", "email", "password") if is_new else ("username", "password")

    async def enter() -> None:
        values = typed
        empty = frozenset(name for name in names if not values[name].strip())
        set_missing(empty)
        if empty:
            return
        if is_new:
            await session.register(**values)
        else:
            await session.login(values["username"], values["password"])

    def change_sides() -> None:
        set_is_new(not is_new)
        set_missing(frozenset[str]())
        account.forget_complaint()

    def fault(name: str) -> str | None:
        complaint = account.complaint.fields.get(name) if account.complaint is not None else None
        return say.required if name in missing else complaint

    def entry(name: str, label: str, hints: list[ft.AutofillHint], **properties: object) -> ft.Control:
        def keep(event: ft.Event[ft.TextField]) -> None:
            typed[name] = event.control.value or ""

        return field(
            key=name,
            value=None,
            label=label,
            autofill_hints=hints,
            on_change=keep,
            on_submit=enter,
            error=fault(name),
            error_max_lines=3,
            **properties,
        )

    hint = ft.AutofillHint
    name_hints = [hint.NEW_USERNAME] if is_new else [hint.USERNAME, hint.EMAIL]
    fields = [entry("username", say.username if is_new else say.username_or_email, name_hints)]
    if is_new:
        fields.append(entry("email", say.email, [hint.EMAIL], keyboard_type=ft.KeyboardType.EMAIL))
    fields.append(
        keyed(
            "password",
            Secret,
            typed,
            "password",
            say,
            enter,
            label=say.password,
            hint=hint.NEW_PASSWORD if is_new else hint.PASSWORD,
            error=fault("password"),
            helper=say.password_hint if is_new else None,
        )
    )
    what = say.create_account if is_new else say.sign_in
    lines: list[ft.Control] = [
        heading(what),
        ft.AutofillGroup(ft.Column(fields, spacing=GAP, horizontal_alignment=ft.CrossAxisAlignment.STRETCH)),
    ]
    if account.complaint is not None and not account.complaint.fields:
        lines.append(trouble(account.complaint, say))
    lines += [
        ft.FilledButton(
            what if not account.is_busy else say.loading, on_click=enter, disabled=account.is_busy, height=52
        ),
        ft.TextButton(say.to_sign_in if is_new else say.to_register, on_click=change_sides),
    ]
    return ft.Container(
        ft.Column(lines, spacing=GAP, tight=True, horizontal_alignment=ft.CrossAxisAlignment.STRETCH),
        padding=ROOM,
        border_radius=28,
        bgcolor=ft.Colors.SURFACE_CONTAINER_LOW,
    )
