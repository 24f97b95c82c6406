"""What is deleted can be had back for a while, and then it is gone, once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from api.client import Client
from api.resources import Picture
from state.deleting import Deleting
from state.gallery import Gallery
from tests.app.clients import a_key, a_recipe, ended, somebody
from tests.tcp_proxy import TcpProxy

NEVER = 3600.0
"""Seconds for which a deletion can be taken back: longer than any test."""


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


@asynccontextmanager
async def a_gallery(url: str, *, count: int = 2, seconds: float = NEVER) -> AsyncIterator[tuple[Gallery, Deleting]]:
    """Somebody's, with as many pictures."""
    async with somebody(url) as client:
        task = await client.generate(a_recipe(count=count), a_key())
        await ended(client, task)
        gallery = Gallery(client)
        await gallery.load()
        yield gallery, Deleting(client, gallery, seconds)


async def kept(client: Client) -> set[str]:
    """What the server has."""
    return {picture.id for picture in (await client.pictures.page()).results}


def ids(*pictures: Picture) -> list[str]:
    return [picture.id for picture in pictures]


def test_a_deleted_picture_is_out_of_sight_at_once_and_the_server_is_not_told_yet(installation):
    async def story() -> None:
        async with a_gallery(installation.url) as (gallery, deleting):
            first, second = gallery.pictures
            deleting.delete([first])
            assert ids(*gallery.pictures) == ids(second)
            assert gallery.find(first.id) is None
            assert gallery.neighbour(second.id, -1) is None
            assert deleting.pending == (first,)
            await gallery.load()
            assert ids(*gallery.pictures) == ids(second)
            assert await kept(gallery.client) == {first.id, second.id}

    run(story)


def test_undo_brings_it_back_to_its_place(installation):
    async def story() -> None:
        async with a_gallery(installation.url, count=3) as (gallery, deleting):
            before = ids(*gallery.pictures)
            deleting.delete(gallery.pictures[1:2])
            deleting.undo()
            assert ids(*gallery.pictures) == before
            assert deleting.pending == ()
            await deleting.finish()
            assert await kept(gallery.client) == set(before)

    run(story)


def test_when_the_time_is_up_it_is_deleted_for_good(installation):
    async def story() -> None:
        async with a_gallery(installation.url, seconds=0.01) as (gallery, deleting):
            first, second = gallery.pictures
            told = asyncio.Event()

            def listen(_: object, changed: str | None) -> None:
                if changed == "pending" and not deleting.pending:
                    told.set()

            deleting.delete([first])
            deleting.subscribe(listen)
            await told.wait()
            deleting.undo()
            await deleting.finish()
            assert ids(*gallery.pictures) == ids(second)
            assert await kept(gallery.client) == {second.id}

    run(story)


def test_the_next_deletion_ends_the_time_of_the_one_before(installation):
    async def story() -> None:
        async with a_gallery(installation.url) as (gallery, deleting):
            first, second = gallery.pictures
            deleting.delete([first])
            deleting.delete([second])
            deleting.undo()
            await deleting.finish()
            assert ids(*gallery.pictures) == ids(second)
            assert await kept(gallery.client) == {second.id}

    run(story)


def test_many_are_deleted_and_taken_back_together(installation):
    async def story() -> None:
        async with a_gallery(installation.url, count=4) as (gallery, deleting):
            before = ids(*gallery.pictures)
            deleting.delete(gallery.pictures)
            assert gallery.pictures == []
            deleting.undo()
            assert ids(*gallery.pictures) == before
            deleting.delete(gallery.pictures[:3])
            await deleting.finish()
            assert await kept(gallery.client) == {before[3]}

    run(story)


def test_when_all_that_was_loaded_is_deleted_the_next_page_comes(installation):
    async def story() -> None:
        async with a_gallery(installation.url, count=4) as (gallery, deleting):
            four = ids(*gallery.pictures)
            gallery.forget()
            page = await gallery.client.pictures.page(limit=3)
            gallery.loaded, gallery.cursor = page.results, page.next_cursor
            deleting.delete(gallery.pictures)
            await deleting.finish()
            assert ids(*gallery.pictures) == four[3:]

    run(story)


def test_what_is_being_deleted_is_not_deleted_again(installation):
    async def story() -> None:
        async with a_gallery(installation.url) as (gallery, deleting):
            first, _ = gallery.pictures
            deleting.delete([first])
            deleting.delete([first])
            assert deleting.pending == (first,)

    run(story)


def test_pictures_come_back_with_the_reason_when_the_server_cannot_be_reached(installation):
    async def story() -> None:
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with a_gallery(f"http://{network.address}") as (gallery, deleting):
                before = ids(*gallery.pictures)
                deleting.delete(gallery.pictures)
                network.drop()
                await deleting.finish()
                assert ids(*gallery.pictures) == before
                assert (deleting.complaint.code, deleting.returned) == ("offline", 2)
                network.pass_on()
                deleting.delete(gallery.pictures)
                assert (deleting.complaint, deleting.returned) == (None, 0)
                await deleting.finish()
                assert await kept(gallery.client) == set()

    run(story)


def test_a_picture_that_was_deleted_elsewhere_meanwhile_is_gone_without_a_complaint(installation):
    async def story() -> None:
        async with a_gallery(installation.url) as (gallery, deleting):
            first, second = gallery.pictures
            deleting.delete([first, second])
            await gallery.client.pictures.delete([first.id])
            await deleting.finish()
            assert deleting.complaint is None
            assert await kept(gallery.client) == set()

    run(story)


def test_who_is_signed_out_elsewhere_loses_nothing(installation):
    async def story() -> None:
        async with a_gallery(installation.url) as (gallery, deleting):
            before = set(ids(*gallery.pictures))
            deleting.delete(gallery.pictures)
            deleting.forget()
            await deleting.finish()
            assert deleting.pending == ()
            assert await kept(gallery.client) == before

    run(story)
