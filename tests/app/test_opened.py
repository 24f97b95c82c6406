"""A picture that is opened: its recipe, its file, and a session that is left while it is being deleted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from api.client import Client
from api.resources import Picture
from state.opened import OpenedPicture
from state.preferences import Preferences
from state.session import Session
from tests.app.clients import PASSWORD, a_key, a_recipe, ended, somebody
from tests.tcp_proxy import TcpProxy


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


@dataclass
class Drawer:
    """A device's storage and its downloads."""

    kept: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    async def get(self, key: str) -> object:
        return self.kept.get(key)

    async def set(self, key: str, value: str) -> bool:
        self.kept[key] = value
        return True

    async def remove(self, key: str) -> bool:
        return self.kept.pop(key, None) is not None

    async def save(self, name: str, content: bytes) -> None:
        self.files[name] = content


@asynccontextmanager
async def a_session(url: str, saving_page: str = "") -> AsyncIterator[tuple[Session, Picture, Drawer]]:
    """Somebody's, with one picture."""
    async with somebody(url) as client:
        task = await client.generate(a_recipe("a lighthouse"), a_key())
        await ended(client, task)
        drawer = Drawer()
        session = Session(client, Preferences(drawer), drawer.save, saving_page)
        await session.begin()
        (picture,) = session.gallery.pictures
        yield session, picture, drawer


async def are_there(client: Client) -> list[str]:
    return [picture.id for picture in (await client.pictures.page()).results]


def test_the_file_gets_the_servers_name(installation):
    async def story() -> None:
        async with a_session(installation.url) as (session, picture, drawer):
            opened = OpenedPicture(session, picture.id)
            assert opened.saving_url == ""
            opened.choose("jpeg")
            await opened.download()
            assert (opened.saving, opened.complaint) == ("done", None)
            ((name, content),) = drawer.files.items()
            assert name.endswith(".jpg")
            assert "a lighthouse" in name.replace("-", " ")
            assert content.startswith(b"\xff\xd8\xff")

    run(story)


def test_a_file_that_the_browser_fetches_by_itself_is_not_fetched_here(installation):
    async def story() -> None:
        async with a_session(installation.url, "save.html") as (session, picture, drawer):
            opened = OpenedPicture(session, picture.id)
            assert opened.saving_url == f"save.html#picture/{picture.id}/png"
            opened.choose("webp")
            assert opened.saving_url == f"save.html#picture/{picture.id}/webp"
            await opened.download()
            assert (opened.saving, opened.complaint, drawer.files) == ("", None, {})

    run(story)


def test_a_recipe_fills_the_draft_with_one_tap(installation):
    async def story() -> None:
        async with a_session(installation.url) as (session, picture, _):
            opened = OpenedPicture(session, picture.id)
            assert await opened.use_again()
            assert (session.draft.prompt, session.draft.seed) == ("a lighthouse", opened.recipe.seed)
            assert session.draft.size == (64, 64)

    run(story)


def test_without_the_server_nothing_is_saved_or_known_and_it_is_said_why(installation):
    async def story() -> None:
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with a_session(f"http://{network.address}") as (session, picture, drawer):
                opened = OpenedPicture(session, picture.id)
                network.drop()
                await opened.download()
                assert (opened.saving, opened.complaint.code, drawer.files) == ("", "offline", {})
                assert not await opened.use_again()
                await opened.mark(picture)
                assert opened.complaint.code == "offline"
                network.pass_on()
                assert await opened.use_again()
                assert opened.complaint is None

    run(story)


@pytest.mark.parametrize("leave", [Session.leave, Session.logout])
def test_who_leaves_has_deleted_what_was_deleted(installation, leave):
    async def story() -> None:
        async with a_session(installation.url) as (session, picture, _):
            client = session.client
            name = session.account.user.username
            session.deleting.delete([picture])
            await leave(session)
            await client.login(name, PASSWORD)
            assert await are_there(client) == []

    run(story)


def test_a_session_that_ends_elsewhere_deletes_nothing_more(installation):
    async def story() -> None:
        async with a_session(installation.url) as (session, picture, _):
            session.deleting.delete([picture])
            session.end()
            await session.leave()
            assert await are_there(session.client) == [picture.id]

    run(story)
