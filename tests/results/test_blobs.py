"""What Blobs promises, on every kind of store: a folder, memory, and S3 as moto and rclone serve it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from structlog.testing import capture_logs

from services.results.blobs import CHUNK_BYTES, Blobs
from services.runtime.errors import DependencyUnavailable
from tests.results.store_servers import BUCKET
from tests.results.stores import ALL, KEYS, MINUTE, PNG, Store, get

BIG = bytes(range(256)) * 4 * 1024 * 20  # 20 MiB


@pytest.fixture
def blobs(store) -> Blobs:
    return store.blobs


@pytest.fixture(params=[name for name in ALL if name != "s3_on_rclone"])
def with_ranges(request) -> Blobs:
    """Not rclone 1.75: it answers a Range with the right bytes, but as 200, not 206 (RFC 9110, section 15.3.7)."""
    return request.getfixturevalue(request.param).blobs


@pytest.fixture(params=[name for name in ALL if name != "memory"])
def mortal(request) -> Store:
    return request.getfixturevalue(request.param)


def read(blobs: Blobs, key: str, size: int, offset: int = 0, length: int | None = None) -> list[bytes]:
    async def chunks() -> list[bytes]:
        return [chunk async for chunk in await blobs.open(key, size, offset, length)]

    return asyncio.run(chunks())


def at_once(calls: list[Callable[[], None]]) -> None:
    barrier = Barrier(len(calls))

    def run(call: Callable[[], None]) -> None:
        barrier.wait()
        call()

    with ThreadPoolExecutor(len(calls)) as threads:
        list(threads.map(run, calls))


@pytest.mark.parametrize("key", KEYS)
def test_what_was_written_is_read(blobs, key):
    blobs.write(key, b"data", PNG)

    assert blobs.read(key) == b"".join(read(blobs, key, 4)) == b"data"


def test_nothing_is_something_that_can_be_written(blobs):
    blobs.write("a.png", b"", PNG)

    assert blobs.read("a.png") == b"".join(read(blobs, "a.png", 0)) == b""


def test_a_big_picture_is_read_in_small_chunks(blobs):
    blobs.write("a.png", BIG, PNG)

    chunks = read(blobs, "a.png", len(BIG))

    assert b"".join(chunks) == BIG
    assert max(map(len, chunks)) == CHUNK_BYTES


def test_a_repeat_replaces(blobs):
    blobs.write("a.png", b"the first", PNG)
    blobs.write("a.png", b"second", PNG)

    assert blobs.read("a.png") == b"second"


def test_of_those_who_write_one_key_at_once_one_wins_whole(blobs):
    versions = [bytes([number]) * 300_000 for number in range(8)]

    at_once([lambda data=data: blobs.write("a.png", data, PNG) for data in versions])

    assert blobs.read("a.png") in versions


@pytest.mark.parametrize("key", KEYS)
def test_what_is_deleted_is_gone_and_may_be_deleted_again(blobs, key):
    blobs.write(key, b"data", PNG)
    blobs.write("other.png", b"other", PNG)

    blobs.delete(key)
    blobs.delete(key)

    with pytest.raises(FileNotFoundError):
        blobs.read(key)
    with pytest.raises(FileNotFoundError):
        read(blobs, key, 4)
    assert blobs.read("other.png") == b"other"


def test_what_was_never_written_is_not_there_and_can_be_deleted(blobs):
    blobs.delete("a.png")

    with pytest.raises(FileNotFoundError):
        blobs.read("a.png")
    for length in (None, 1, 0):
        with pytest.raises(FileNotFoundError):
            read(blobs, "a.png", 4, 0, length)


@pytest.mark.parametrize(
    ("size", "offset", "length"),
    [
        (0, 0, None),
        (3, 0, None),
        (5, 0, None),
        (3, 1, 1),
        (3, 3, None),
        (10, 0, 2),
        (10, 3, None),
        (10, 7, 2),
        (10, 0, 0),
    ],
)
def test_what_has_another_size_is_not_what_was_written(blobs, size, offset, length):
    blobs.write("a.png", b"data", PNG)

    with pytest.raises(FileNotFoundError):
        read(blobs, "a.png", size, offset, length)


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 10), (300_000, 600_000), (999_990, None), (5, 1), (999_999, 1), (999_990, 5_000), (1, 2_000_000)],
)
def test_a_part_is_read_as_it_was_written(with_ranges, offset, length):
    data = BIG[7:1_000_007]
    with_ranges.write("a.png", data, PNG)

    chunks = read(with_ranges, "a.png", len(data), offset, length)

    assert b"".join(chunks) == data[offset:][:length]
    assert max(map(len, chunks)) <= CHUNK_BYTES


def test_a_server_without_ranges_gives_no_part_rather_than_another(s3_on_rclone):
    s3_on_rclone.blobs.write("a.png", b"data", PNG)

    with pytest.raises(DependencyUnavailable):
        read(s3_on_rclone.blobs, "a.png", 4, 1, 2)


@pytest.mark.parametrize(("offset", "length"), [(0, 4), (0, 5), (0, None)])
def test_a_part_may_be_the_whole(blobs, offset, length):
    blobs.write("a.png", b"data", PNG)

    assert read(blobs, "a.png", 4, offset, length) == [b"data"]


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (2, 0), (4, 0), (4, None), (4, 7)])
def test_a_part_may_be_nothing(blobs, offset, length):
    blobs.write("a.png", b"data", PNG)

    assert read(blobs, "a.png", 4, offset, length) == []


@pytest.mark.parametrize(("offset", "length"), [(-1, None), (5, None), (5, 0), (1, -1)])
def test_what_is_no_part_is_refused(memory, offset, length):
    memory.blobs.write("a.png", b"data", PNG)

    with pytest.raises(ValueError, match="no part of 4 bytes"):
        read(memory.blobs, "a.png", 4, offset, length)


def assert_unavailable(blobs: Blobs, *, part: int | None = 2) -> None:
    """For every call about a.png of four bytes; `part`: how many of them to ask for, None: all."""
    for call in (
        lambda: blobs.write("a.png", b"more", PNG),
        lambda: blobs.read("a.png"),
        lambda: read(blobs, "a.png", 4),
        lambda: read(blobs, "a.png", 4, 0, part),
        lambda: blobs.delete("a.png"),
    ):
        with pytest.raises(DependencyUnavailable):
            call()


def test_while_the_store_is_away_every_call_says_so_and_later_all_is_there(mortal):
    blobs = mortal.blobs
    blobs.write("a.png", b"data", PNG)

    with mortal.outage():
        assert_unavailable(blobs)

    assert blobs.read("a.png") == b"data"
    blobs.write("a.png", b"more", PNG)
    assert blobs.read("a.png") == b"more"


def test_a_store_that_goes_away_in_the_middle_of_a_picture_says_so(s3):
    s3.blobs.write("a.png", BIG, PNG)

    async def read_on() -> None:
        chunks = await s3.blobs.open("a.png", len(BIG))
        assert await anext(chunks) == BIG[:CHUNK_BYTES]
        with s3.outage(), pytest.raises(DependencyUnavailable):
            async for _ in chunks:
                pass

    asyncio.run(read_on())
    assert b"".join(read(s3.blobs, "a.png", len(BIG))) == BIG


@pytest.mark.parametrize("server", ["moto", "rclone"])
def test_a_bucket_that_is_not_there_is_no_empty_bucket(request, server):
    blobs = Blobs.from_url("s3://another-bucket", request.getfixturevalue(server).options())

    assert_unavailable(blobs, part=None)  # a part is asked for by HEAD first, whose answer tells nothing of buckets


def test_who_has_the_wrong_secret_gets_nothing(rclone):
    right = Blobs.from_url(f"s3://{BUCKET}/secret", rclone.options())
    right.write("a.png", b"data", PNG)
    wrong = Blobs.from_url(f"s3://{BUCKET}/secret", rclone.options(secret_access_key="w" * 40), redirects=True)

    with capture_logs() as log:
        assert_unavailable(wrong)
    assert {line["code"] for line in log} == {"SignatureDoesNotMatch", None}  # None: an answer to HEAD has no body
    assert get(wrong.sign("a.png", MINUTE)).status_code == 403
    assert right.read("a.png") == b"data"


def test_a_store_in_a_folder_makes_the_folder(tmp_path):
    folder = tmp_path / "with a space" / "pictures"

    Blobs.from_url(folder.as_uri()).write("a.png", b"data", PNG)

    assert (folder / "a.png").read_bytes() == b"data"


def test_of_writes_that_crashed_in_a_folder_a_delete_leaves_nothing(tmp_path):
    for name in ("a.png", "a.png#1", "a.png#2", "b.png#1"):
        (tmp_path / name).touch()

    Blobs.from_url(tmp_path.as_uri()).delete("a.png")

    assert [path.name for path in tmp_path.iterdir()] == ["b.png#1"]
