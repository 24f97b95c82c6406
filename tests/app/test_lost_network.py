"""What the client's API layer and state do while a network, a server or the page that keeps the tokens is away."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import pytest

from api.client import Client
from api.connection import Connection
from api.problems import Unreachable
from state.preferences import Preferences
from state.session import Session
from state.storage import TOKENS, KeptTokens
from tests.app.clients import Memory, a_key, a_recipe, ended, expired, somebody, tab
from tests.tcp_proxy import TcpProxy


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


async def no_file(name: str, content: bytes) -> None:
    raise AssertionError("nothing is saved here")


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - observables tell of no event that could be waited for
        await asyncio.sleep(0.02)


@dataclass
class Page:
    """A browser's storage behind a connection: while that is lost, nothing that is asked of it is ever answered."""

    kept: dict[str, str] = field(default_factory=dict)
    is_there: bool = True

    async def _arrive(self) -> None:
        await (asyncio.sleep(0) if self.is_there else asyncio.Event().wait())

    async def get(self, key: str) -> object:
        await self._arrive()
        return self.kept.get(key)

    async def set(self, key: str, value: str) -> bool:
        await self._arrive()
        self.kept[key] = value
        return True

    async def remove(self, key: str) -> bool:
        await self._arrive()
        return self.kept.pop(key, None) is not None


def test_while_the_page_is_away_no_token_is_exchanged_and_nothing_hangs(installation):
    async def story() -> None:
        page = Page()
        async with httpx.AsyncClient(base_url=installation.url) as http, somebody(installation.url) as signed_in:
            connection = Connection(http, KeptTokens(page, answer_seconds=0.05))
            client = Client(connection)
            tokens = signed_in.connection.tokens
            await connection.keep(expired(tokens))
            page.is_there = False
            with pytest.raises(Unreachable):
                await client.me()
            page.is_there = True
            await client.me()
            assert json.loads(page.kept[TOKENS])["access_token"] == connection.tokens.access_token
            assert connection.tokens.refresh_token != tokens.refresh_token

    run(story)


def test_tokens_that_came_while_the_page_went_away_are_kept_when_it_is_back(installation):
    async def story() -> None:
        page = Page()
        async with httpx.AsyncClient(base_url=installation.url) as http, somebody(installation.url) as signed_in:
            connection = Connection(http, KeptTokens(page, answer_seconds=0.05))
            await connection.keep(signed_in.connection.tokens)
            page.is_there = False
            newer = expired(signed_in.connection.tokens)
            with pytest.raises(Unreachable):
                await connection.keep(newer)
            assert connection.tokens == newer
            page.is_there = True
            await Client(connection).me()
            assert json.loads(page.kept[TOKENS])["access_token"] == connection.tokens.access_token

    run(story)


def test_two_tabs_that_renew_at_the_same_moment_both_stay_signed_in(installation):
    async def story() -> None:
        memory = Memory()
        async with somebody(installation.url, memory) as here, tab(installation.url, memory) as there:
            old = expired(memory.tokens)
            for each in (here, there):
                await each.connection.keep(old)
            await asyncio.gather(here.me(), there.me())
            await asyncio.gather(here.me(), there.me())
        async with tab(installation.url, memory) as later:
            await later.me()

    run(story)


def test_a_page_that_comes_while_the_server_is_away_is_served_when_it_is_back(installation):
    async def story() -> None:
        memory = Memory()
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with somebody(installation.url, memory), tab(f"http://{network.address}", memory) as client:
                session = Session(client, Preferences(Page()), no_file)
                network.drop()
                beginning = asyncio.create_task(session.begin())
                await until(lambda: session.account.complaint is not None)
                assert session.account.phase == "arriving"
                network.pass_on()
                await beginning
                assert session.account.phase == "member"
                assert session.account.complaint is None
                assert session.catalogue.models != []
                session.close()

    run(story)


def test_what_a_lost_server_could_not_tell_is_asked_for_again_when_it_is_back(installation):
    async def story() -> None:
        memory = Memory()
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with somebody(installation.url, memory) as there, tab(f"http://{network.address}", memory) as client:
                session = Session(client, Preferences(Page()), no_file)
                await session.begin()
                network.drop()
                await asyncio.gather(session.catalogue.load(), session.gallery.load())
                assert session.catalogue.complaint is not None
                task = await there.generate(a_recipe(), a_key())
                await ended(there, task)
                network.pass_on()
                await until(lambda: session.catalogue.complaint is None and session.gallery.complaint is None)
                await until(lambda: [picture.task_id for picture in session.gallery.pictures] == [task.id])
                session.close()

    run(story)
