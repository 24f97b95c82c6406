"""Who is signed in, how much room the pictures take, and how the client looks and speaks."""

from typing import cast

import flet as ft

from api.resources import Language
from state.account import Account
from state.preferences import Light, Preferences
from state.session import Session
from texts.words import Words
from views.account.column import column
from views.account.storage import Storage
from views.keyed import keyed
from views.look import GAP, card, chinese_name, label


def who(account: Account) -> ft.Control:
    user = account.user
    name, shortened = user.username if user else "", ft.TextOverflow.ELLIPSIS
    return ft.Row(
        [
            ft.CircleAvatar(
                content=ft.Text(name[:1].upper(), size=20),
                radius=26,
                bgcolor=ft.Colors.PRIMARY_CONTAINER,
                color=ft.Colors.ON_PRIMARY_CONTAINER,
            ),
            ft.Column(
                [
                    ft.Text(name, theme_style=ft.TextThemeStyle.TITLE_MEDIUM, no_wrap=True, overflow=shortened),
                    ft.Text(
                        user.email if user else "",
                        color=ft.Colors.ON_SURFACE_VARIANT,
                        no_wrap=True,
                        overflow=shortened,
                    ),
                ],
                spacing=2,
                expand=True,
            ),
        ],
        spacing=GAP,
    )


@ft.component
def Overview(session: Session, preferences: Preferences, say: Words) -> ft.Control:
    leave = ft.OutlinedButton(say.sign_out, icon=ft.Icons.LOGOUT, on_click=session.logout)
    return column([keyed("storage", Storage, session, say), card(looks(preferences, say)), leave])


def looks(preferences: Preferences, say: Words) -> ft.Control:
    async def speak(event: ft.Event[ft.SegmentedButton]) -> None:
        await preferences.speak(cast("Language", event.control.selected[0]))

    async def light_up(event: ft.Event[ft.SegmentedButton]) -> None:
        await preferences.light_up(cast("Light", event.control.selected[0]))

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
    return ft.Column(
        [
            label(say.language),
            ft.Row([languages]),
            ft.Container(height=4),
            label(say.light),
            ft.Row([lights], scroll=ft.ScrollMode.AUTO),
        ],
        spacing=8,
    )
