"""Links to a picture as their owner makes and ends them, and what else is done with one picture."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from api.client import Client
from api.problems import Problem
from api.resources import Picture
from state.favorites import Favorites
from state.gallery import Gallery
from state.shares import DAY, Sharing
from tests.app.clients import a_key, a_recipe, ended, somebody
from tests.tcp_proxy import TcpProxy

NOBODY = "01981f5e-7c1a-7d2b-9a63-3f0c8e5b4d21"


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


async def a_picture(client: Client, prompt: str = "a lighthouse") -> Picture:
    task = await client.generate(a_recipe(prompt), a_key())
    await ended(client, task)
    (result,) = (await client.task(task.id)).results
    return await client.pictures.get(result.id)


@asynccontextmanager
async def sharing(url: str) -> AsyncIterator[Sharing]:
    """Somebody's picture without links."""
    async with somebody(url) as client:
        yield Sharing(client, (await a_picture(client)).id)


async def opened(url: str) -> httpx.Response:
    """By somebody without an account."""
    async with httpx.AsyncClient() as stranger:
        return await stranger.get(url)


def test_a_link_is_made_by_its_terms_and_opens_the_picture_without_an_account(installation):
    async def story() -> None:
        async with sharing(installation.url) as links:
            links.choose(replace(links.terms, expires_in=DAY, hide_prompt=True))
            await links.create()
            assert links.refusal is None
            page = await opened(links.made.url)
            assert page.status_code == 200
            assert "a lighthouse" not in page.text
            (share,) = links.links
            assert share.hide_prompt
            assert timedelta(hours=23) < share.expires_at - share.created_at <= timedelta(days=1)
            assert share.state(links.client.connection.now()) == "open"
            assert share.state(share.expires_at) == "expired"

    run(story)


def test_a_link_with_a_password_asks_for_it_and_the_password_is_not_kept_here(installation):
    async def story() -> None:
        async with sharing(installation.url) as links:
            links.choose(replace(links.terms, expires_in=None, password="lighthouse"))
            await links.create()
            assert links.made.has_password
            assert links.made.expires_at is None
            assert links.terms.password is None
            assert (await opened(links.made.url)).status_code == 401

    run(story)


def test_a_revoked_link_opens_nothing_more_and_is_told_as_revoked(installation):
    async def story() -> None:
        async with sharing(installation.url) as links:
            await links.create()
            url = links.made.url
            await links.revoke(links.links[0])
            assert links.made is None
            assert links.links[0].state(links.client.connection.now()) == "revoked"
            assert (await opened(url)).status_code == 410
            await links.load()
            assert links.links[0].state(links.client.connection.now()) == "revoked"

    run(story)


def test_the_links_are_there_at_the_next_visit_without_what_opens_them(installation):
    async def story() -> None:
        async with sharing(installation.url) as links:
            await links.create()
            links.make_another()
            await links.create()
            again = Sharing(links.client, links.result_id)
            await again.load()
            assert [share.id for share in again.links] == [share.id for share in links.links]
            assert again.made is None

    run(story)


def test_a_link_whose_first_answer_was_lost_is_made_anew_and_the_lost_one_is_ended(installation):
    async def story() -> None:
        async with sharing(installation.url) as links:
            lost = []

            async def lose_the_first(response: httpx.Response) -> None:
                if response.request.method == "POST" and not lost:
                    await response.aread()
                    lost.append(response.json())
                    raise httpx.ReadError("lost")

            links.client.connection._http.event_hooks = {"response": [lose_the_first]}
            await links.create()
            assert links.refusal.code == "offline"
            await links.create()
            assert links.refusal is None
            assert (await opened(links.made.url)).status_code == 200
            await links.load()
            now = links.client.connection.now()
            assert {share.id: share.state(now) for share in links.links} == {
                links.made.id: "open",
                lost[0]["id"]: "revoked",
            }

    run(story)


def test_what_keeps_links_from_being_known_or_made_is_told(installation):
    async def story() -> None:
        async with sharing(installation.url) as links:
            links.choose(replace(links.terms, password="x" * 200))
            await links.create()
            assert links.refusal.code == "invalid_field"
            assert "password" in links.refusal.fields
            nowhere = Sharing(links.client, NOBODY)
            await nowhere.load()
            assert nowhere.complaint.code == "result_not_found"
            await nowhere.create()
            assert nowhere.refusal.code == "result_not_found"

    run(story)


def test_a_favorite_is_marked_at_once_and_survives(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            picture = await a_picture(client)
            gallery = Gallery(client)
            await gallery.load()
            marking = asyncio.create_task(Favorites(client, gallery).mark(picture, favorite=True))
            await asyncio.sleep(0)
            assert gallery.find(picture.id).favorite
            assert await marking is None
            assert (await client.pictures.get(picture.id)).favorite

    run(story)


def test_a_favorite_that_is_refused_goes_back_with_the_reason(installation):
    async def story() -> None:
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with somebody(f"http://{network.address}") as client:
                picture = await a_picture(client)
                gallery = Gallery(client)
                await gallery.load()
                network.drop()
                complaint = await Favorites(client, gallery).mark(picture, favorite=True)
                assert complaint.code == "offline"
                assert not gallery.find(picture.id).favorite

    run(story)


def test_many_taps_on_the_heart_end_as_the_last_one(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            picture = await a_picture(client)
            gallery = Gallery(client)
            await gallery.load()
            favorites = Favorites(client, gallery)
            taps = [True, False, True, False, True]
            await asyncio.gather(*(favorites.mark(gallery.find(picture.id), favorite=tap) for tap in taps))
            assert (await client.pictures.get(picture.id)).favorite
            assert gallery.find(picture.id).favorite

    run(story)


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("jpeg", b"\xff\xd8\xff"), ("webp", b"RIFF")])
def test_a_picture_is_kept_under_the_name_that_the_server_gives_it(installation, kind, magic):
    async def story() -> None:
        async with somebody(installation.url) as client:
            picture = await a_picture(client, "雨后的江南古镇")
            file = await client.pictures.fetch(picture.id, kind)
            assert file.content.startswith(magic)
            assert "雨后的江南古镇" in file.name
            assert file.name.endswith({"jpeg": ".jpg"}.get(kind, f".{kind}"))

    run(story)


def test_a_recipe_tells_what_painted_the_picture(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            recipe = await client.pictures.recipe((await a_picture(client)).id)
            assert (recipe.prompt, recipe.steps, recipe.width) == ("a lighthouse", 4, 64)
            assert recipe.engine
            with pytest.raises(Problem):
                await client.pictures.recipe(NOBODY)

    run(story)
