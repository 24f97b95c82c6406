"""The first screen of somebody who is not signed in: what this is, and the door."""

from functools import partial

import flet as ft

from state.account import Account
from state.preferences import Preferences
from state.session import Session
from texts import WORDS
from texts.words import Words
from views.keyed import keyed
from views.look import ACCENT, GAP, ROOM, chinese_name, field, heading, quiet
from views.secret import Secret
from views.troubles import trouble

PICTURES = ("lighthouse", "balloons", "cabin")
"""Names of files in assets/welcome, in the order of their words; tests/app/test_welcome.py knows their seeds."""


DOOR = 400
"""Pixels, where it stands beside the introduction."""


@ft.component
def Welcome(session: Session, account: Account, preferences: Preferences, *, is_wide: bool) -> ft.Control:
    say = WORDS[preferences.language]
    door = keyed("door", Door, session, account, say, is_wide=is_wide)
    other = ft.TextButton(
        chinese_name() if preferences.language == "en" else "English",
        icon=ft.Icons.TRANSLATE,
        on_click=partial(preferences.speak, "en" if preferences.language == "zh" else "zh"),
    )
    about = [slogan(say, is_wide=is_wide), pictures(session.assets, say), promises(say)]
    if is_wide:
        introduction = ft.Column([mark(64), name(44), *about], spacing=ROOM, tight=True)
        row = ft.Row(
            [ft.Container(introduction, expand=True), ft.Container(door, width=DOOR)],
            spacing=64,
            vertical_alignment=ft.CrossAxisAlignment.CENTER,
        )
        top: list[ft.Control] = []
        content = ft.Container(row, width=1120, padding=48)
    else:
        top = [ft.Row([mark(40), name(26)], spacing=12, tight=True)]
        content = ft.Container(ft.Column([*about, door], spacing=GAP), padding=ft.Padding(ROOM, 0, ROOM, GAP))
    page = ft.Column(
        [ft.Container(content, alignment=ft.Alignment.CENTER)],
        scroll=ft.ScrollMode.AUTO,
        expand=True,
        alignment=ft.MainAxisAlignment.CENTER if is_wide else ft.MainAxisAlignment.START,
        horizontal_alignment=ft.CrossAxisAlignment.CENTER,
    )
    sides = ft.MainAxisAlignment.SPACE_BETWEEN if top else ft.MainAxisAlignment.END
    above = ft.Row([*top, other], spacing=12, wrap=True, alignment=sides)
    padding = 8 if is_wide else ft.Padding(ROOM, 8, 8, 8)
    column = ft.Column(
        [ft.Container(above, padding=padding), page],
        spacing=0,
        expand=True,
        horizontal_alignment=ft.CrossAxisAlignment.STRETCH,
    )
    return ft.SafeArea(column, expand=True)


def mark(size: int) -> ft.Control:
    return ft.Container(
        ft.Icon(ft.Icons.LANDSCAPE_ROUNDED, color=ft.Colors.WHITE, size=size * 0.53),
        width=size,
        height=size,
        border_radius=size * 0.28,
        bgcolor=ACCENT,
        alignment=ft.Alignment.CENTER,
    )


def name(size: int) -> ft.Control:
    return ft.Semantics(content=ft.Text("ImageGen", size=size, weight=ft.FontWeight.W_700), header=True)


def slogan(say: Words, *, is_wide: bool) -> ft.Control:
    return ft.Text(say.slogan, size=20 if is_wide else 16, color=ft.Colors.ON_SURFACE_VARIANT)


def pictures(assets: str, say: Words) -> ft.Control:
    """Three, with the words that they were painted from, and by whom."""
    shown = [
        picture(f"{assets}welcome/{file}.webp", words)
        for file, words in zip(PICTURES, say.welcome_pictures, strict=True)
    ]
    row = ft.Row(shown, spacing=10, vertical_alignment=ft.CrossAxisAlignment.START)
    return ft.Column([row, small(say.welcome_painted)], spacing=8, tight=True)


def picture(url: str, words: str) -> ft.Control:
    image = ft.Image(url, semantics_label=words, fit=ft.BoxFit.COVER, aspect_ratio=1, error_content=ft.Container())
    frame = ft.Container(
        image, border_radius=14, clip_behavior=ft.ClipBehavior.ANTI_ALIAS, bgcolor=ft.Colors.SURFACE_CONTAINER_HIGH
    )
    caption = ft.Semantics(content=small(words), exclude_semantics=True)  # the picture has said it
    return ft.Column([frame, caption], spacing=6, tight=True, expand=True)


def small(text: str) -> ft.Text:
    return ft.Text(text, theme_style=ft.TextThemeStyle.BODY_SMALL, color=ft.Colors.ON_SURFACE_VARIANT)


def promises(say: Words) -> ft.Control:
    told = (
        (ft.Icons.MEMORY_ROUNDED, say.promise_own),
        (ft.Icons.TIMELAPSE_ROUNDED, say.promise_seen),
        (ft.Icons.LOCK_OUTLINE_ROUNDED, say.promise_kept),
    )
    rows: list[ft.Control] = [
        ft.Row([ft.Icon(icon, size=20, color=ft.Colors.PRIMARY), ft.Container(quiet(text), expand=True)], spacing=12)
        for icon, text in told
    ]
    return ft.Column(rows, spacing=8, tight=True)


@ft.component
def Door(session: Session, account: Account, say: Words, *, is_wide: bool) -> ft.Control:
    """Where it is wide, a keyboard is likely: the first field has it."""
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
    called = say.username if is_new else say.username_or_email
    fields = [entry("username", called, name_hints, autofocus=is_wide)]
    if is_new:
        fields.append(entry("email", say.email, [hint.EMAIL], keyboard_type=ft.KeyboardType.EMAIL))
    fields.append(
        keyed(
            "password",
            Secret,
            typed["password"],
            partial(typed.__setitem__, "password"),
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
        ft.FilledButton(what if not account.is_busy else say.loading, on_click=enter, disabled=account.is_busy),
        ft.TextButton(say.to_sign_in if is_new else say.to_register, on_click=change_sides),
    ]
    return ft.Container(
        ft.Column(lines, spacing=GAP, tight=True, horizontal_alignment=ft.CrossAxisAlignment.STRETCH),
        padding=ROOM,
        border_radius=28,
        bgcolor=ft.Colors.SURFACE_CONTAINER_LOW,
    )
