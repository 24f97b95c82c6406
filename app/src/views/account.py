"""The account, and how the client looks and speaks."""

from typing import cast

import flet as ft

from api.resources import Language
from state.account import Account
from state.preferences import Light, Preferences
from state.session import Session
from texts.words import Words
from views.look import GAP, ROOM, card, chinese_name, heading, label, quiet

WIDTH = 560


@ft.component
def AccountView(session: Session, account: Account, preferences: Preferences, say: Words) -> ft.Control:
    async def speak(event: ft.Event[ft.SegmentedButton]) -> None:
        await preferences.speak(cast("Language", event.control.selected[0]))

    async def light_up(event: ft.Event[ft.SegmentedButton]) -> None:
        await preferences.light_up(cast("Light", event.control.selected[0]))

    user = account.user
    who = ft.Row(
        [
            ft.CircleAvatar(
                content=ft.Text((user.username if user else "?")[:1].upper(), size=20),
                radius=26,
                bgcolor=ft.Colors.PRIMARY_CONTAINER,
                color=ft.Colors.ON_PRIMARY_CONTAINER,
            ),
            ft.Column(
                [
                    ft.Text(user.username if user else "", theme_style=ft.TextThemeStyle.TITLE_MEDIUM),
                    quiet(user.email if user else ""),
                ],
                spacing=2,
                expand=True,
            ),
        ],
        spacing=GAP,
    )
    languages = ft.SegmentedButton(
        [ft.Segment(value="en", label="English"), ft.Segment(value="zh", label=chinese_name())],
        selected=[preferences.language],
        show_selected_icon=False,
        on_change=speak,
    )
    lights = ft.SegmentedButton(
        [
            ft.Segment(value="system", label=say.light_system),
            ft.Segment(value="light", label=say.light_light),
            ft.Segment(value="dark", label=say.light_dark),
        ],
        selected=[preferences.light],
        show_selected_icon=False,
        on_change=light_up,
    )
    column = ft.Column(
        [
            heading(say.account),
            card(who),
            card(
                ft.Column([label(say.language), languages, ft.Container(height=4), label(say.light), lights], spacing=8)
            ),
            ft.OutlinedButton(say.sign_out, icon=ft.Icons.LOGOUT, on_click=session.logout, height=48),
        ],
        spacing=GAP,
        width=WIDTH,
    )
    return ft.Column(
        [ft.Container(column, padding=ROOM)],
        scroll=ft.ScrollMode.AUTO,
        expand=True,
        horizontal_alignment=ft.CrossAxisAlignment.CENTER,
    )
