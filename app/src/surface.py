"""Flet's page, kept in step with a session: its theme, its size, and its place in the browser's history."""

import flet as ft

from api.resources import Language
from state.session import Session
from views.look import WIDE, fonts, theme
from views.shell import Views


class Surface:
    def __init__(self, page: ft.Page, session: Session) -> None:
        self._page = page
        self._session = session
        self._announced: list[str] = []

    def show(self) -> None:
        page, session = self._page, self._session
        page.title = "ImageGen"
        session.whereabouts.follow(page.route or "/")
        self._measure()
        page.theme, page.dark_theme = theme(), theme(is_dark=True)
        page.fonts = fonts(session.assets)
        page.locale_configuration = locale(session.preferences.language)
        page.theme_mode = ft.ThemeMode(session.preferences.light)
        self._lit = session.preferences.subscribe(self._light_up)  # Flet itself holds a listener weakly
        page.on_resize = self._measure
        page.on_route_change = self._arrive
        page.on_view_pop = lambda: self._go(f"/{session.whereabouts.place}")
        page.on_connect = self._show_anew
        page.on_disconnect = session.leave
        page.on_close = session.close
        page.render_views(Views, session, self._go)

    def _measure(self) -> None:
        self._session.whereabouts.is_wide = (self._page.width or 0) >= WIDE

    def _light_up(self, _: object, changed: str | None) -> None:
        if changed in ("light", "language"):
            self._page.theme_mode = ft.ThemeMode(self._session.preferences.light)
            self._page.locale_configuration = locale(self._session.preferences.language)
            self._page.update()

    def _go(self, route: str) -> None:
        """Shows it at once, and tells the browser, which may tell it back much later."""
        self._session.whereabouts.follow(route)
        if route != self._page.route:
            self._announced.append(route)
            self._page.navigate(route)

    def _arrive(self, event: ft.RouteChangeEvent) -> None:
        if event.route in self._announced:
            del self._announced[: self._announced.index(event.route) + 1]
        else:  # a link, or the browser's back button
            self._session.whereabouts.follow(event.route)

    async def _show_anew(self) -> None:
        """What changed while the connection was lost was not sent."""
        session = self._session
        parts = (session.whereabouts, session.account, session.gallery, session.deleting, session.tasks, session.draft)
        for observable in (*parts, *session.tasks.followed):
            observable.notify()  # type: ignore[no-untyped-call] # Flet's, without annotations
        await session.come_back()


def locale(language: Language) -> ft.LocaleConfiguration:
    """For the words of Flutter's own controls."""
    spoken = ft.Locale(language)
    return ft.LocaleConfiguration(supported_locales=[spoken], current_locale=spoken)
