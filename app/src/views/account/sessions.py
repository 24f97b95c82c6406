"""Where the person is signed in, and signing out there."""

from datetime import datetime
from functools import partial

import flet as ft

from api.sign_ins import SignIn
from state.devices import Device, Kind, device_of
from state.session import Session
from state.sign_ins import SignIns
from texts.spans import since
from texts.words import Words
from views.account.column import column
from views.look import GAP, card, quiet
from views.named import icon_button
from views.troubles import trouble, waiting

ICONS: dict[Kind, ft.IconData] = {
    "phone": ft.Icons.SMARTPHONE,
    "tablet": ft.Icons.TABLET_MAC,
    "computer": ft.Icons.LAPTOP,
    "program": ft.Icons.TERMINAL,
    "unknown": ft.Icons.DEVICES_OTHER,
}


@ft.component
def SessionsView(session: Session, say: Words) -> ft.Control:
    sign_ins, _ = ft.use_state(SignIns(session.client))
    ft.use_effect(sign_ins.load, [])
    lines: list[ft.Control] = [quiet(say.devices_about)]
    if sign_ins.complaint is not None:
        lines.append(trouble(sign_ins.complaint, say, sign_ins.load))
    elif sign_ins.known is None:
        lines.append(waiting(say))
    if sign_ins.known is not None:
        now = session.client.connection.now()
        ordered = sorted(sign_ins.known, key=lambda sign_in: not sign_in.is_current)
        rows = [row(sign_ins, sign_in, now, say) for sign_in in ordered]
        lines.append(card(ft.Column(rows, spacing=GAP, tight=True), padding=GAP))
        if sign_ins.others:
            lines.append(
                ft.OutlinedButton(
                    say.end_others,
                    icon=ft.Icons.LOGOUT,
                    on_click=sign_ins.end_others,
                    disabled=sign_ins.is_busy,
                )
            )
        else:
            lines.append(quiet(say.no_others))
    return column(lines)


def row(sign_ins: SignIns, sign_in: SignIn, now: datetime, say: Words) -> ft.Control:
    device = device_of(sign_in.device)
    name = called(device, say)
    texts: list[ft.Control] = [ft.Text(name, theme_style=ft.TextThemeStyle.TITLE_SMALL)]
    if sign_in.is_current:
        texts.append(ft.Text(say.this_device, color=ft.Colors.PRIMARY, weight=ft.FontWeight.W_500))
    used, began = since(sign_in.last_used_at, now, say), since(sign_in.created_at, now, say)
    texts.append(quiet(f"{say.last_used.format(when=used)} · {say.signed_in_when.format(when=began)}"))
    parts: list[ft.Control] = [
        ft.Icon(ICONS[device.kind], color=ft.Colors.PRIMARY if sign_in.is_current else ft.Colors.ON_SURFACE_VARIANT),
        ft.Column(texts, spacing=2, tight=True, expand=True),
    ]
    if not sign_in.is_current:
        end = partial(sign_ins.end, sign_in)
        parts.append(icon_button(ft.Icons.LOGOUT, say.end_session.format(device=name), end, disabled=sign_ins.is_busy))
    return ft.Row(parts, spacing=GAP, key=sign_in.id)


def called(device: Device, say: Words) -> str:
    if device.system:
        return say.browser_on.format(browser=device.name, system=device.system)
    return device.name or say.device_unknown
