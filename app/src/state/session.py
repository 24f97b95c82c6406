"""One person's session: everything that the views show, and how the parts hear of each other."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import flet as ft

from api.client import Client
from api.events import WAITS
from api.problems import Unreachable
from api.resources import Task
from state.account import Account, Farewell
from state.catalogue import Catalogue
from state.deleting import Deleting
from state.draft import Draft, Suggestions
from state.favorites import Favorites
from state.gallery import Gallery
from state.operations import Operations
from state.preferences import Preferences
from state.saving import SaveFile, Saver
from state.selection import Selection
from state.tasks import Tasks

Place = Literal["create", "gallery", "account", "operate"]

PLACES: tuple[Place, ...] = ("create", "gallery", "account")
OPERATORS_PLACES: tuple[Place, ...] = (*PLACES, "operate")


@dataclass(eq=False)
class Whereabouts(ft.Observable):
    """Attributes:
    place: which of them; `operate` is shown to operators.
    opened: id of the result that is shown in full, or the part of the account; empty: none.
    is_wide: there is room for a rail beside the view.
    shows_details: of a picture that is shown in full.
    """

    place: Place = "create"
    opened: str = ""
    is_wide: bool = False
    shows_details: bool = False

    @property
    def route(self) -> str:
        return f"/{self.place}/{self.opened}" if self.opened else f"/{self.place}"

    def follow(self, route: str) -> None:
        """Goes where a link, or the browser's back button, leads; what is unknown leads to the beginning."""
        place, _, opened = route.partition("?")[0].strip("/").partition("/")
        self.place = next((each for each in OPERATORS_PLACES if each == place), "create")
        self.opened = opened


class Session:
    """Attributes:
    assets: where the client's own files are; empty: in the package.
    """

    def __init__(
        self, client: Client, preferences: Preferences, save_file: SaveFile, saving_page: str = "", assets: str = ""
    ) -> None:
        self.client = client
        self.saver = Saver(client, save_file, saving_page)
        self.assets = assets
        self.preferences = preferences
        self.whereabouts = Whereabouts()
        self.account = Account(client)
        self.catalogue = Catalogue(client)
        self.gallery = Gallery(client)
        self.favorites = Favorites(client, self.gallery)
        self.deleting = Deleting(client, self.gallery)
        self.selection = Selection(client, self.gallery, self.deleting, self.saver)
        self.tasks = Tasks(client, self.gallery.add, self._catch_up)
        self.operations = Operations(client)
        self.draft = Draft(client, self.catalogue, Suggestions(client), self._accepted)
        client.connection.when_signed_out = self.end
        self._is_closed = False
        self._catching_up: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Takes up an earlier visit, if there was one; while the server is away, again and again."""
        await self.account.arrive()
        failures = 0
        while self.account.phase == "arriving" and not self._is_closed:
            await asyncio.sleep(WAITS[min(failures, len(WAITS) - 1)])
            failures += 1
            await self.account.arrive()
        await self._settle_in()

    async def login(self, username: str, password: str) -> None:
        await self.account.login(username, password)
        await self._settle_in()

    async def register(self, username: str, email: str, password: str) -> None:
        await self.account.register(username, email, password)
        await self._settle_in()

    async def logout(self) -> None:
        await self.deleting.finish()
        self._forget()
        await self.account.logout()

    def end(self, farewell: Farewell = "ended") -> None:
        """The session has ended in another way than by signing out here."""
        self._forget()
        self.account.leave(farewell)

    async def leave(self) -> None:
        """The page is not there any more: closed, reloaded, or its connection is lost."""
        self.operations.rest()
        await self.deleting.finish()

    async def come_back(self) -> None:
        """Its connection is there again."""
        if self.whereabouts.place == "operate":
            self.operations.watch()
        with suppress(Unreachable):
            await self.client.connection.keep_up()

    def close(self) -> None:
        """The browser has gone for good."""
        self._is_closed = True
        self._forget()

    async def _settle_in(self) -> None:
        if self.account.phase == "member":
            await asyncio.gather(self.catalogue.load(), self.tasks.load(), self.gallery.load())

    def _catch_up(self) -> None:
        """The server is there: what it could not tell while it was away is asked for again."""
        for part in (self.catalogue, self.gallery):
            if part.complaint is not None:
                loading = asyncio.create_task(part.load())
                self._catching_up.add(loading)
                loading.add_done_callback(self._catching_up.discard)

    def _accepted(self, task: Task) -> None:
        self.tasks.add(task)

    def _forget(self) -> None:
        """What the next person at this device must not see."""
        self.tasks.stop()
        self.deleting.forget()
        self.selection.end()
        self.gallery.forget()
        self.operations.forget()
        self.draft.forget()
        self.whereabouts.follow("/")
