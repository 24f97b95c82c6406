"""What a session knows and does, on the real gateway and without a browser."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from api.client import Client
from state.catalogue import Catalogue
from state.draft import Draft, Suggestions
from state.gallery import Gallery
from state.tasks import Tasks
from tests.app.clients import SLOW, Memory, a_key, a_recipe, ended, somebody, tab
from tests.tcp_proxy import TcpProxy


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


@asynccontextmanager
async def a_draft(client: Client, accepted: list) -> AsyncIterator[Draft]:
    catalogue = Catalogue(client)
    await catalogue.load()
    draft = Draft(client, catalogue, Suggestions(client), accepted.append)
    draft.choose(catalogue.named("sd15"))
    draft.prompt, draft.steps = "a lighthouse", 4
    draft.choose_width(64)
    draft.choose_height(64)
    yield draft


def test_generate_pressed_again_after_a_lost_answer_makes_no_second_task(installation):
    async def story() -> None:
        accepted = []
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with somebody(f"http://{network.address}") as client, a_draft(client, accepted) as draft:
                network.drop()
                assert not await draft.submit()
                assert draft.complaint.code == "offline"
                network.pass_on()
                assert await draft.submit()
                assert draft.complaint is None
                history = await client.history()
                assert [task.id for task in history.tasks] == [task.id for task in accepted]

    run(story)


def test_another_draft_is_another_task(installation):
    async def story() -> None:
        accepted = []
        async with somebody(installation.url) as client, a_draft(client, accepted) as draft:
            assert await draft.submit()
            assert await draft.submit()
            assert len({task.id for task in accepted}) == 2

    run(story)


def test_a_locked_seed_stays_and_another_does_not(installation):
    async def story() -> None:
        accepted = []
        async with somebody(installation.url) as client, a_draft(client, accepted) as draft:
            draft.roll()
            seed = draft.seed
            await draft.submit()
            assert accepted[-1].seed == seed
            assert draft.seed is None
            draft.lock_seed()
            seed = draft.seed
            await draft.submit()
            assert accepted[-1].seed == draft.seed == seed

    run(story)


def test_what_is_unfinished_is_taken_up_by_the_next_visit_and_ends_in_the_gallery(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            task = await client.generate(a_recipe(**SLOW), a_key())
            gallery = Gallery(client)
            completed = asyncio.Event()
            tasks = Tasks(client, lambda done: (gallery.add(done), completed.set()))
            await tasks.load()
            assert [followed.task.id for followed in tasks.followed] == [task.id]
            await completed.wait()
            assert [picture.task_id for picture in gallery.pictures] == [task.id]
            tasks.stop()

    run(story)


def test_what_is_asked_for_in_another_tab_appears_and_ends_in_the_gallery_here(installation):
    async def story() -> None:
        memory = Memory()
        async with somebody(installation.url, memory) as here, tab(installation.url, memory) as there:
            completed: asyncio.Queue[str] = asyncio.Queue()
            tasks = Tasks(here, lambda done: completed.put_nowait(done.id))
            await tasks.load()
            assert tasks.followed == []
            task = await there.generate(a_recipe(**SLOW), a_key())
            assert await completed.get() == task.id
            assert [(each.task.id, each.task.status) for each in tasks.followed] == [(task.id, "completed")]
            tasks.stop()

    run(story)


def test_what_ends_while_the_network_is_away_is_told_when_it_is_back(installation):
    async def story() -> None:
        memory = Memory()
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with (
                somebody(f"http://{network.address}", memory) as here,
                tab(installation.url, memory) as there,
            ):
                completed: asyncio.Queue[str] = asyncio.Queue()
                tasks = Tasks(here, lambda done: completed.put_nowait(done.id))
                await tasks.load()
                first = await here.generate(a_recipe(steps=20), a_key())
                tasks.add(first)
                network.drop()
                second = await there.generate(a_recipe(), a_key())
                for task in (first, second):
                    await ended(there, task)
                assert completed.empty()
                network.pass_on()
                assert {await completed.get(), await completed.get()} == {first.id, second.id}
                assert [(each.task.status, each.is_lost) for each in tasks.followed] == [("completed", False)]
                tasks.stop()

    run(story)


def test_what_has_been_dismissed_does_not_come_back(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            completed = asyncio.Event()
            tasks = Tasks(client, lambda _: completed.set())
            await tasks.load()
            tasks.add(await client.generate(a_recipe(), a_key()))
            await completed.wait()
            (followed,) = tasks.followed
            tasks.dismiss(followed)
            await tasks.load()
            assert tasks.followed == []
            tasks.stop()

    run(story)


def test_a_link_reaches_a_picture_that_is_on_no_page_yet(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            task = await client.generate(a_recipe(), a_key())
            await ended(client, task)
            (result,) = (await client.task(task.id)).results
            gallery = Gallery(client)
            await gallery.reach(result.id)
            assert gallery.find(result.id).task_id == task.id
            nobody = "01981f5e-7c1a-7d2b-9a63-3f0c8e5b4d21"
            await gallery.reach(nobody)
            assert gallery.missing == nobody
            assert gallery.find(nobody) is None

    run(story)
