"""Pictures chosen together."""

import asyncio
import io
import math
import zipfile
from dataclasses import replace

from state.deleting import Deleting
from state.gallery import Gallery
from state.saving import Saver
from state.selection import ARCHIVE_BYTES, Selection, parts_of
from tests.app.clients import somebody
from tests.app.test_gallery import painted


class Downloads(list):
    async def save(self, name: str, content: bytes) -> None:
        self.append((name, content))


def selection_of(client, downloads: Downloads, undo_seconds: float = 0, page: str = "") -> Selection:
    gallery = Gallery(client)
    return Selection(client, gallery, Deleting(client, gallery, undo_seconds), Saver(client, downloads.save, page))


def test_chosen_pictures_come_as_one_zip_with_the_names_of_what_they_show(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            await painted(client, "a fox", "雨后的古镇", "a teapot")
            downloads = Downloads()
            selection = selection_of(client, downloads)
            await selection.gallery.load()
            selection.begin(selection.gallery.pictures[0].id)
            selection.toggle(selection.gallery.pictures[1].id)
            await selection.save()
            ((name, content),) = downloads
            assert name.endswith(".zip")
            assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["001-a-teapot.png", "002-雨后的古镇.png"]
            assert not selection.is_on

    asyncio.run(story())


def test_zips_that_the_browser_fetches_by_itself_are_not_fetched_here(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            await painted(client, "a fox", "a teapot")
            downloads = Downloads()
            selection = selection_of(client, downloads, page="save.html")
            await selection.gallery.load()
            newer, older = selection.gallery.pictures
            selection.begin("")
            selection.take_all()
            assert selection.saving_url == f"save.html#archives/{newer.id},{older.id}"
            await selection.save()
            assert (downloads, selection.complaint, selection.is_on) == ([], None, False)

    asyncio.run(story())


def test_a_zip_that_does_not_come_leaves_the_choice_as_it_was(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            await painted(client, "a fox")
            selection = selection_of(client, Downloads())
            await selection.gallery.load()
            selection.begin(selection.gallery.pictures[0].id)
            await client.pictures.delete([*selection.ids])
            await selection.save()
            assert selection.complaint.code == "result_not_found"
            assert selection.is_on
            assert not selection.is_saving

    asyncio.run(story())


def test_chosen_pictures_are_deleted_together_and_come_back_together(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            await painted(client, "a fox", "a teapot")
            selection = selection_of(client, Downloads(), undo_seconds=60)
            await selection.gallery.load()
            selection.begin("")
            selection.take_all()
            assert len(selection.ids) == 2
            selection.delete()
            assert selection.gallery.pictures == []
            selection.deleting.undo()
            assert len(selection.gallery.pictures) == 2
            selection.begin("")
            selection.take_all()
            selection.delete()
            await selection.deleting.finish()
            assert (await client.pictures.page()).results == []

    asyncio.run(story())


def test_all_can_be_chosen_and_again_none(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            await painted(client, "a fox", "a teapot")
            selection = selection_of(client, Downloads())
            await selection.gallery.load()
            selection.begin("")
            selection.take_all()
            selection.take_all()
            assert selection.ids == frozenset()
            assert selection.is_on

    asyncio.run(story())


def test_a_zip_holds_a_hundred_pictures_and_as_many_bytes_as_the_client_can_spare(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            await painted(client, "a fox")
            (picture,) = (await client.pictures.page()).results
        small, large = replace(picture, size_bytes=1000), replace(picture, size_bytes=ARCHIVE_BYTES // 2)
        huge = replace(picture, size_bytes=2 * ARCHIVE_BYTES)
        for pictures, sizes in (
            ([small] * 201, [100, 100, 1]),
            ([large] * 5, [2, 2, 1]),
            ([huge] * 2, [1, 1]),
            ([], []),
        ):
            assert [len(part) for part in parts_of(pictures, ARCHIVE_BYTES)] == sizes
        assert [len(part) for part in parts_of([huge] * 101, math.inf)] == [100, 1]

    asyncio.run(story())
