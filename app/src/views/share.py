"""How a picture is shown to others: a link of it, made, handed on and ended."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

import flet as ft

from api.resources import Picture
from api.shares import Share
from state.session import Session
from state.shares import DAY, LIVES, Sharing
from texts.spans import since, span
from texts.words import Words
from views.copying import Copy, selectable
from views.keyed import keyed
from views.look import GAP, label, quiet
from views.named import Action
from views.qr import qr_png
from views.secret import Secret
from views.sheet import sheet
from views.troubles import trouble

FOR_EVER = "0"
"""Of a segment, which needs a text."""


@ft.component
def ShareSheet(session: Session, picture: Picture, say: Words, close: Action, *, is_wide: bool) -> ft.Control:
    """Nothing in its place: the sheet lies above everything."""
    sharing = ft.use_memo(lambda: Sharing(session.client, picture.id), [picture.id])
    ft.use_state(sharing)
    url = (sharing.made.url or "") if sharing.made is not None else ""
    qr = ft.use_memo(lambda: qr_png(url) if url else b"", [url])
    ft.use_effect(sharing.load, [])
    lines = [made(sharing, url, qr, say)] if url else terms(sharing, say)
    if sharing.refusal is not None and "password" not in sharing.refusal.fields:
        lines.append(trouble(sharing.refusal, say))
    lines += [ft.Divider(height=GAP), *links(sharing, say)]
    ft.use_dialog(sheet(say.share, lines, say, close, is_wide=is_wide))
    return ft.Container(width=0, height=0)


def terms(sharing: Sharing, say: Words) -> list[ft.Control]:
    chosen = sharing.terms

    def lives(event: ft.Event[ft.SegmentedButton]) -> None:
        sharing.choose(replace(chosen, expires_in=int(event.control.selected[0]) or None))

    def protect(password: str) -> None:
        sharing.choose(replace(sharing.terms, password=password or None))

    def hide_prompt(is_on: bool) -> None:
        sharing.choose(replace(sharing.terms, hide_prompt=is_on))

    def allow_download(is_on: bool) -> None:
        sharing.choose(replace(sharing.terms, allow_download=is_on))

    wrong = sharing.refusal.fields.get("password") if sharing.refusal is not None else None
    return [
        label(say.share_lives),
        ft.SegmentedButton(
            [
                ft.Segment(value=str(life or FOR_EVER), label=ft.Text(life_of(life, say), no_wrap=True))
                for life in LIVES
            ],
            selected=[str(chosen.expires_in or FOR_EVER)],
            show_selected_icon=False,
            style=ft.ButtonStyle(padding=ft.Padding.symmetric(horizontal=4)),
            on_change=lives,
        ),
        keyed(
            "password",
            Secret,
            chosen.password or "",
            protect,
            say,
            sharing.create,
            label=say.share_password,
            error=wrong,
        ),
        switch(say.share_hide_prompt, hide_prompt, is_on=chosen.hide_prompt),
        switch(say.share_allow_download, allow_download, is_on=chosen.allow_download),
        ft.FilledButton(
            say.loading if sharing.is_busy else say.share_create,
            icon=ft.Icons.ADD_LINK,
            on_click=sharing.create,
            disabled=sharing.is_busy,
        ),
    ]


def switch(name: str, choose: Callable[[bool], None], *, is_on: bool) -> ft.Control:
    def changed(event: ft.Event[ft.Switch]) -> None:
        choose(bool(event.control.value))

    row = ft.Row([ft.Text(name, expand=True), ft.Switch(value=is_on, on_change=changed)])
    return ft.MergeSemantics(content=row)


def made(sharing: Sharing, url: str, qr: bytes, say: Words) -> ft.Control:
    code = ft.Image(
        qr,
        fit=ft.BoxFit.NONE,
        filter_quality=ft.FilterQuality.NONE,
        semantics_label=say.share_qr,
    )
    lines: list[ft.Control] = [
        ft.Container(code, bgcolor=ft.Colors.WHITE, border_radius=12),
        selectable(url, size=13, text_align=ft.TextAlign.CENTER),
        keyed("copy", Copy, url, say.share_copy, say),
        ft.Text(say.share_once, size=13, color=ft.Colors.ON_SURFACE_VARIANT, text_align=ft.TextAlign.CENTER),
        ft.TextButton(say.share_another, on_click=sharing.make_another),
    ]
    return ft.Column(lines, spacing=GAP, tight=True, horizontal_alignment=ft.CrossAxisAlignment.CENTER)


def links(sharing: Sharing, say: Words) -> list[ft.Control]:
    now = sharing.client.connection.now()
    lines: list[ft.Control] = [label(say.share_links)]
    if not sharing.links and sharing.complaint is None:
        return [*lines, quiet(say.loading if sharing.is_loading else say.share_none)]
    by_life = sorted(sharing.links, key=lambda share: share.state(now) != "open")
    lines += [link(sharing, share, now, say) for share in by_life]
    if sharing.complaint is not None:
        lines.append(trouble(sharing.complaint, say, sharing.load))
    elif sharing.cursor is not None:
        lines.append(ft.TextButton(say.more, on_click=sharing.load_more))
    return lines


def link(sharing: Sharing, share: Share, now: datetime, say: Words) -> ft.Control:
    is_open = share.state(now) == "open"
    marks = [
        *([say.share_has_password] if share.has_password else []),
        *([say.share_hides_prompt] if share.hide_prompt else []),
        *([say.share_allows_download] if share.allow_download else []),
    ]
    color = None if is_open else ft.Colors.OUTLINE
    made_on = say.share_made.format(when=since(share.created_at, now, say))
    texts: list[ft.Control] = [ft.Text(state_of(share, now, say), color=color)]
    texts.append(ft.Text(" · ".join([made_on, *marks]), size=12, color=color or ft.Colors.ON_SURFACE_VARIANT))
    row: list[ft.Control] = [
        ft.Icon(ft.Icons.LINK if is_open else ft.Icons.LINK_OFF, color=color or ft.Colors.PRIMARY),
        ft.Column(texts, spacing=2, tight=True, expand=True),
    ]
    if is_open:
        revoke = partial(sharing.revoke, share)
        row.append(ft.TextButton(say.share_revoke, on_click=revoke, disabled=sharing.is_busy))
    return ft.Row(row, spacing=12, key=share.id)


def state_of(share: Share, now: datetime, say: Words) -> str:
    match share.state(now):
        case "revoked":
            return say.share_revoked
        case "expired":
            return say.share_expired
    if share.expires_at is None:
        return say.share_open
    return say.share_open_for.format(left=span((share.expires_at - now).total_seconds(), say))


def life_of(life: int | None, say: Words) -> str:
    if life is None:
        return say.share_for_ever
    return say.share_day if life == DAY else say.days.format(n=life // DAY)
