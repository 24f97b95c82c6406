import asyncio

import pytest
from obstore.store import LocalStore, MemoryStore

from services.results.blobs import CHUNK_BYTES, Blobs


@pytest.fixture(params=["a folder", "a store that hands out all at once"])
def blobs(request, tmp_path):
    return Blobs(LocalStore(tmp_path) if request.param == "a folder" else MemoryStore())


def read(blobs: Blobs, key: str, size: int) -> list[bytes]:
    async def chunks() -> list[bytes]:
        return [chunk async for chunk in await blobs.open(key, size)]

    return asyncio.run(chunks())


def test_what_was_written_is_read_in_small_chunks(blobs):
    data = bytes(range(256)) * 4000
    blobs.write("a.png", data)

    chunks = read(blobs, "a.png", len(data))

    assert b"".join(chunks) == data
    assert max(map(len, chunks)) == CHUNK_BYTES


def test_what_is_deleted_is_gone_and_may_be_deleted_again(blobs):
    blobs.write("a.png", b"data")

    blobs.delete("a.png")
    blobs.delete("a.png")

    with pytest.raises(FileNotFoundError):
        read(blobs, "a.png", 4)


def test_what_has_another_size_is_not_what_was_written(blobs):
    blobs.write("a.png", b"data")

    with pytest.raises(FileNotFoundError):
        read(blobs, "a.png", 5)


def test_a_store_in_a_folder_makes_the_folder(tmp_path):
    folder = tmp_path / "with a space" / "pictures"

    Blobs.from_url(folder.as_uri()).write("a.png", b"data")

    assert (folder / "a.png").read_bytes() == b"data"
