"""The gallery's state: on a real installation, and over a network that answers as late as it likes."""

import asyncio
import json

import httpx
import pytest

from api.client import Client
from api.connection import Connection
from api.resources import Task, Tokens
from state.gallery import Gallery
from tests.app.clients import Memory, a_key, a_recipe, ended, somebody

MANY = 2000


async def painted(client: Client, *prompts: str) -> list[Task]:
    """Completed tasks, one picture each."""
    tasks = [await client.generate(a_recipe(prompt), a_key()) for prompt in prompts]
    for task in tasks:
        await ended(client, task)
    return [await client.task(task.id) for task in tasks]


async def settled(gallery: Gallery) -> None:
    """What was asked for last has been answered."""
    assert gallery._searching is not None
    await gallery._searching


def prompts_of(gallery: Gallery) -> list[str]:
    return [picture.prompt for picture in gallery.pictures]


def test_pictures_are_found_by_words_and_filters_and_all_of_them_come_back(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            fox, lighthouse = await painted(client, "a fox in the snow", "a lighthouse at dusk")
            await client.pictures.mark(fox.results[0].id, favorite=True)
            gallery = Gallery(client)
            await gallery.load()
            assert prompts_of(gallery) == [lighthouse.prompt, fox.prompt]

            gallery.type_text("snow")
            await settled(gallery)
            assert prompts_of(gallery) == [fox.prompt]
            gallery.type_text("unicorn")
            await settled(gallery)
            assert gallery.pictures == []
            assert gallery.is_filtered

            gallery.clear_filters()
            await settled(gallery)
            assert len(gallery.pictures) == 2
            gallery.filter(favorite=True)
            await settled(gallery)
            assert prompts_of(gallery) == [fox.prompt]
            gallery.filter(favorite=False, model="sdxl")
            await settled(gallery)
            assert gallery.pictures == []
            gallery.filter(model="", period="day")
            await settled(gallery)
            assert len(gallery.pictures) == 2

    asyncio.run(story())


def test_a_new_picture_is_seen_at_once_and_only_where_it_belongs(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            gallery = Gallery(client)
            await gallery.load()
            (fox,) = await painted(client, "a fox in the snow")
            gallery.add(fox)
            assert prompts_of(gallery) == [fox.prompt]
            gallery.type_text("lighthouse")
            await settled(gallery)
            (other,) = await painted(client, "another fox")
            gallery.add(other)
            await settled(gallery)
            assert gallery.pictures == []
            (lighthouse,) = await painted(client, "a lighthouse")
            gallery.add(lighthouse)
            await settled(gallery)
            assert prompts_of(gallery) == [lighthouse.prompt]

    asyncio.run(story())


def a_picture(number: int) -> dict:
    return {
        "id": f"{number:032x}",
        "task_id": f"{number:032x}",
        "index": 0,
        "image_url": "http://127.0.0.1/image",
        "thumbnail_url": "http://127.0.0.1/thumbnail",
        "thumb_hash": None,
        "width": 64,
        "height": 64,
        "size_bytes": 1000,
        "media_type": "image/png",
        "created_at": "2026-11-01T00:00:00Z",
        "expires_at": None,
        "model": "sd15",
        "prompt": f"picture {number}",
        "favorite": False,
    }


class Network:
    """Has `MANY` pictures. Answers to a search for a word that is in `gates` wait until it is opened."""

    def __init__(self) -> None:
        self.gates: dict[str, asyncio.Event] = {}
        self.broken = False
        self.asked = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        self.asked += 1
        if gate := self.gates.get(query.get("q", "")):
            await gate.wait()
        if self.broken:
            raise httpx.ConnectError("away", request=request)
        first, limit = int(query.get("cursor", "0")), int(query["limit"])
        found = [a_picture(number) for number in range(MANY)][first : first + limit]
        if word := query.get("q"):
            found = [{**found[0], "prompt": word}]
        following = str(first + limit) if first + limit < MANY and not word else None
        return httpx.Response(200, content=json.dumps({"results": found, "next_cursor": following}))

    def gallery(self) -> Gallery:
        http = httpx.AsyncClient(base_url="http://gateway", transport=httpx.MockTransport(self.answer))
        return Gallery(Client(Connection(http, Memory(Tokens("token", "refresh")))))


def test_an_answer_to_an_older_question_is_not_shown():
    async def story() -> None:
        network = Network()
        network.gates = {"slow": asyncio.Event()}
        gallery = network.gallery()
        gallery.filter(text="slow")
        slow = gallery._searching
        await asyncio.sleep(0.01)
        older = asyncio.create_task(gallery.load())
        await asyncio.sleep(0)
        gallery.filter(text="fast")
        await settled(gallery)
        assert prompts_of(gallery) == ["fast"]
        network.gates["slow"].set()
        await older
        assert slow.cancelled() or slow.done()
        assert prompts_of(gallery) == ["fast"]
        assert not gallery.is_loading

    asyncio.run(story())


def test_every_one_of_two_thousand_pictures_can_be_reached():
    async def story() -> None:
        gallery = Network().gallery()
        await gallery.load()
        while not gallery.is_complete:
            await gallery.load_more()
        assert prompts_of(gallery) == [f"picture {number}" for number in range(MANY)]

    asyncio.run(story())


def test_a_page_that_does_not_come_is_asked_for_again_and_nothing_is_lost():
    async def story() -> None:
        network = Network()
        gallery = network.gallery()
        await gallery.load()
        known = prompts_of(gallery)
        network.broken = True
        await gallery.load_more()
        assert gallery.complaint is not None
        assert prompts_of(gallery) == known
        network.broken = False
        await gallery.load_more()
        assert gallery.complaint is None
        assert prompts_of(gallery) == [f"picture {number}" for number in range(2 * len(known))]

    asyncio.run(story())


def test_who_comes_to_it_sees_it_as_it_is_and_asks_for_nothing_twice():
    async def story() -> None:
        network = Network()
        gallery = network.gallery()
        await asyncio.gather(gallery.load(), gallery.look())
        await gallery.look()
        assert network.asked == 1

        gallery.fresh_seconds = 0
        await gallery.look()
        assert network.asked == 2

        gallery.forget()
        gallery.fresh_seconds = 3600
        await gallery.look()
        assert network.asked == 3

    asyncio.run(story())


def test_a_first_page_that_did_not_come_is_asked_for_by_the_next_who_comes():
    async def story() -> None:
        network = Network()
        network.broken = True
        gallery = network.gallery()
        await gallery.load()
        network.broken = False
        await gallery.look()
        assert gallery.complaint is None
        assert gallery.pictures != []

    asyncio.run(story())


@pytest.mark.parametrize("step", [1, -1])
def test_past_the_last_picture_that_is_loaded_the_next_one_can_be_turned_to(step):
    async def story() -> None:
        gallery = Network().gallery()
        await gallery.load()
        at = gallery.pictures[-1 if step > 0 else 0]
        await gallery.reach(at.id)
        neighbour = gallery.neighbour(at.id, step)
        assert (neighbour is not None) == (step > 0)

    asyncio.run(story())
