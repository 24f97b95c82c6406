"""DownloadResult: pictures in the width and format that somebody can use, in part or whole, and from where."""

import asyncio
import hashlib
import io
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from uuid import UUID, uuid4

import grpc
import httpx
import pytest
import sqlalchemy as sa
from imagegen.results.v1 import (
    picture_pb2,
    results_service_pb2,
    results_service_pb2_grpc,
    store_service_pb2_grpc,
)
from PIL import Image
from prometheus_client import REGISTRY

from services.results.blobs import Blobs
from services.results.domain import OwnerId, ResultId, ResultNotFound
from services.results.making import THUMBNAIL_WIDTH
from services.results.server import results_server
from services.results.store import hold_result
from services.results.thumbhash import thumb_hash
from services.results.use_cases import UseCases
from services.results.variants import Format, Shape
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from tests.identities import as_person, verifier
from tests.results.conftest import Refusal, World, refusal, refusal_of
from tests.results.pictures import a_png, chunk, header, png_of
from tests.results.store_servers import BUCKET
from tests.results.test_crashes import TWO_HOURS_PASS
from tests.results.test_races import ROUNDS, at_once
from tests.serving import running

ByteRange = picture_pb2.ByteRange
PNG, JPEG, WEBP, AVIF = (
    picture_pb2.PICTURE_FORMAT_PNG,
    picture_pb2.PICTURE_FORMAT_JPEG,
    picture_pb2.PICTURE_FORMAT_WEBP,
    picture_pb2.PICTURE_FORMAT_AVIF,
)
NOT_FOUND = Refusal("NOT_FOUND", "RESULT_NOT_FOUND")
LOST = Refusal("DATA_LOSS", "PICTURE_LOST")
SMALL = {"width": 160, "formats": [WEBP]}


def a_picture(world: World, **fields: object) -> tuple[UUID, str]:
    """Its owner and its id."""
    owner = uuid4()
    return owner, world.store(a_png(400, 300), owner=owner, **fields).id


class WatchedStore(Blobs):
    """Counts what is read and written; a step that `held` names waits there until it may go on."""

    def watch(self, held: str = "") -> None:
        self.read_keys: list[str] = []
        self.written = threading.Event()
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self._held = held

    def read(self, key: str) -> bytes:
        self.read_keys.append(key)
        self._wait("read")
        return super().read(key)

    def write(self, key: str, data: bytes, media_type: str) -> None:
        self._wait("write")
        super().write(key, data, media_type)
        self.written.set()

    def _wait(self, step: str) -> None:
        if step == self._held:
            self.reached.set()
            assert self.go_on.wait(20)


@contextmanager
def replica(world: World, blobs: Blobs) -> Iterator[World]:
    """One more process on the same database, with a store of its own kind."""
    database = Database(world.database.url.render_as_string(hide_password=False))
    results = UseCases.on(database, blobs, world.links)
    with (
        running(results_server(results, verifier("results", world.authority), threads=8)) as address,
        grpc.insecure_channel(address) as channel,
    ):
        people = results_service_pb2_grpc.ResultsServiceStub(channel)
        workers = store_service_pb2_grpc.StoreServiceStub(channel)
        yield replace(world, people=people, workers=workers, results=results)
    database.close()


@contextmanager
def watched(world: World, held: str = "") -> Iterator[tuple[World, WatchedStore]]:
    store = WatchedStore.from_url(world.folder.as_uri())
    store.watch(held)
    with replica(world, store) as other:
        yield other, store


def opened(chunks: list[bytes], format_: str) -> Image.Image:
    return Image.open(io.BytesIO(b"".join(chunks)), formats=[format_])


def nothing_is_left(world: World) -> bool:
    rows = [world.rows(table) for table in ("results", "variants", "orphans")]
    return rows == [[], [], []] and world.files() == []


def test_without_a_wish_a_picture_comes_as_it_is_stored(world):
    owner, task = uuid4(), uuid4()
    stored = world.store(a_png(40, 30), owner=owner, task=task, index=1)

    picture, chunks = world.download(stored.id, as_person(owner))

    data = b"".join(chunks)
    assert picture == picture_pb2.Picture(
        media_type="image/png",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        width=40,
        height=30,
        length=len(data),
        file_name="a fox 2.png",
    )
    assert world.rows("variants") == []


@pytest.mark.parametrize(
    ("format_", "media_type", "name"),
    [
        (PNG, "image/png", "png"),
        (JPEG, "image/jpeg", "jpg"),
        (WEBP, "image/webp", "webp"),
        (AVIF, "image/avif", "avif"),
    ],
)
def test_a_variant_is_described_as_it_is_sent(world, format_, media_type, name):
    owner, result_id = a_picture(world)

    picture, chunks = world.download(result_id, as_person(owner), width=320, formats=[format_])

    data = b"".join(chunks)
    assert (picture.media_type, picture.width, picture.height) == (media_type, 320, 240)
    assert (picture.size_bytes, picture.length, picture.sha256) == (
        len(data),
        len(data),
        hashlib.sha256(data).hexdigest(),
    )
    assert picture.file_name == f"a fox.{name}"
    assert opened(chunks, media_type.partition("/")[2]).size == (320, 240)


def test_the_best_format_that_can_hold_the_picture_is_sent(world):
    owner = uuid4()
    long = world.store(a_png(20_000, 2), owner=owner).id

    assert world.download(long, as_person(owner), formats=[WEBP, JPEG])[0].media_type == "image/jpeg"
    assert world.download(long, as_person(owner), formats=[WEBP])[0].media_type == "image/png"


def test_a_variant_is_made_once_and_kept(world):
    owner, result_id = a_picture(world)
    with watched(world) as (replica, store):
        first = replica.download(result_id, as_person(owner), **SMALL)
        again = replica.download(result_id, as_person(owner), **SMALL)
        larger = replica.download(result_id, as_person(owner), width=960, formats=[WEBP])
        whole = replica.download(result_id, as_person(owner), formats=[WEBP])
        assert len(store.read_keys) == 2, "nothing is enlarged: 960 is the whole"
    assert first == again
    assert larger == whole
    assert len(world.rows("variants")) == 2
    assert len(world.files()) == 3
    assert world.rows("orphans") == []


def test_fifty_who_ask_at_once_for_what_is_not_there_share_the_work(world):
    owner, result_id = a_picture(world)
    with watched(world) as (replica, store):
        answers = at_once([partial(replica.download, result_id, as_person(owner), **SMALL)] * 50)
        assert store.read_keys == [f"{result_id}.png"]
    assert all(answer == answers[0] for answer in answers)
    assert len(world.rows("variants")) == 1
    assert len(world.files()) == 2


def test_who_leaves_takes_the_work_from_nobody(world):
    owner, result_id = a_picture(world)
    request = results_service_pb2.DownloadResultRequest(result_id=result_id, **SMALL)
    with watched(world, "read") as (replica, store), ThreadPoolExecutor() as threads:
        first = replica.people.DownloadResult(request, metadata=as_person(owner), timeout=30)
        assert store.reached.wait(20)
        second = threads.submit(replica.download, result_id, as_person(owner), **SMALL)
        first.cancel()
        store.go_on.set()
        picture, chunks = second.result(20)
        assert len(store.read_keys) == 1
    assert picture.size_bytes == len(b"".join(chunks))


def test_when_the_work_fails_all_are_told_and_the_next_tries_again(world):
    class BrokenStore(Blobs):
        broken = True

        def read(self, key: str) -> bytes:
            if self.broken:
                raise DependencyUnavailable("the picture store")
            return super().read(key)

    owner, result_id = a_picture(world)
    blobs = BrokenStore.from_url(world.folder.as_uri())
    with replica(world, blobs) as broken:
        answers = at_once([partial(broken.download, result_id, as_person(owner), **SMALL)] * 8)
        assert answers == ["UNAVAILABLE"] * 8
        blobs.broken = False
        assert broken.download(result_id, as_person(owner), **SMALL)[0].width == 160
    assert len(world.files()) == 2


def test_of_two_replicas_that_make_the_same_variant_the_first_wins(world):
    owner, result_id = a_picture(world)
    with watched(world, "write") as (slow, store), ThreadPoolExecutor() as threads:
        late = threads.submit(slow.download, result_id, as_person(owner), **SMALL)
        assert store.reached.wait(20)
        first = world.download(result_id, as_person(owner), **SMALL)
        store.go_on.set()
        assert late.result(20) == first
    assert len(world.rows("variants")) == 1
    assert len(world.files()) == 2
    assert world.rows("orphans") == []


ENDS = {
    "its owner deletes it": lambda world, owner, task, result_id: world.delete(owner, result_id),
    "its task is discarded": lambda world, owner, task, result_id: world.discard(task, owner),
    "its owner is erased": lambda world, owner, task, result_id: world.results.storing.erase(OwnerId(owner)),
}


@pytest.mark.parametrize("end", ENDS)
def test_variants_vanish_with_their_result(world, end):
    task = uuid4()
    owner, result_id = a_picture(world, task=task)
    for format_ in (WEBP, AVIF):
        world.download(result_id, as_person(owner), width=160, formats=[format_])
    assert len(world.files()) == 3

    ENDS[end](world, owner, task, result_id)

    assert nothing_is_left(world)


@pytest.mark.parametrize("step", ["read", "write"])
@pytest.mark.parametrize("end", ENDS)
def test_a_result_that_ends_while_its_variant_is_made_leaves_nothing(world, end, step):
    task = uuid4()
    owner, result_id = a_picture(world, task=task)
    with watched(world, step) as (replica, store), ThreadPoolExecutor() as threads:
        making = threads.submit(replica.download, result_id, as_person(owner), **SMALL)
        assert store.reached.wait(20)
        ENDS[end](world, owner, task, result_id)
        store.go_on.set()
        assert refusal_of(making.exception(20)) == NOT_FOUND
    assert nothing_is_left(world)
    assert end != "its owner is erased" or world.results.storing.erase(OwnerId(owner))


def test_whatever_meets_a_deletion_leaves_nothing(world):
    for _ in range(ROUNDS):
        owner, result_id = a_picture(world)
        downloads = [partial(world.download, result_id, as_person(owner), width=160, formats=[f]) for f in (WEBP, JPEG)]

        *answers, deleted = at_once([*downloads, *downloads, partial(world.delete, owner, result_id)])

        assert deleted is None
        assert {answer for answer in answers if isinstance(answer, str)} <= {"NOT_FOUND"}
        assert nothing_is_left(world)


def test_what_ends_a_result_waits_for_a_variant_that_is_just_being_kept(world):
    task = uuid4()
    owner, result_id = a_picture(world, task=task)
    with ThreadPoolExecutor() as threads:
        with world.database.begin() as tx:
            assert hold_result(tx, ResultId(UUID(result_id)))
            ends = [threads.submit(end, world, owner, task, result_id) for end in list(ENDS.values())[:2]]
            waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while not tx.execute(waiting).scalar_one():
                assert not any(end.done() for end in ends)
            tx.execute(
                sa.text(
                    "INSERT INTO variants SELECT id, 'image/webp', 160, 120, 'late.webp', 1, sha256, now() FROM results"
                )
            )
        for end in ends:
            end.exception(20)
    assert nothing_is_left(world)


def test_a_crash_between_bytes_and_row_leaves_bytes_that_are_swept_in_time(world):
    owner, result_id = a_picture(world)
    world.sql("ALTER TABLE variants ADD CONSTRAINT no_rows CHECK (false)")
    with pytest.raises(grpc.RpcError) as caught:
        world.download(result_id, as_person(owner), **SMALL)
    assert refusal(caught) == Refusal("INTERNAL", "")
    assert len(world.files()) == 2

    world.sql(TWO_HOURS_PASS)
    world.results.sweeper.sweep()

    assert world.files() == [f"{result_id}.png"]
    assert world.rows("orphans") == []


@pytest.mark.parametrize("formats", [[], [WEBP]])
@pytest.mark.parametrize(
    ("range_", "part"),
    [
        (ByteRange(first=0, last=9), slice(0, 10)),
        (ByteRange(first=10), slice(10, None)),
        (ByteRange(suffix_length=10), slice(-10, None)),
        (ByteRange(first=10, last=2**63 - 1), slice(10, None)),
        (ByteRange(suffix_length=2**63 - 1), slice(0, None)),
    ],
)
def test_a_range_is_sent_alone(world, formats, range_, part):
    owner, result_id = a_picture(world)
    _, chunks = world.download(result_id, as_person(owner), formats=formats)
    whole = b"".join(chunks)

    picture, chunks = world.download(result_id, as_person(owner), formats=formats, range=range_)

    assert b"".join(chunks) == whole[part]
    assert whole[picture.offset : picture.offset + picture.length] == whole[part]
    assert (picture.size_bytes, picture.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())


@pytest.mark.parametrize("range_", [ByteRange(suffix_length=0), ByteRange(first=2**40), ByteRange(first=2**63 - 1)])
def test_a_range_without_a_byte_is_refused_with_the_size(world, range_):
    owner = uuid4()
    stored = world.store(owner=owner)

    with pytest.raises(grpc.RpcError) as caught:
        world.download(stored.id, as_person(owner), range=range_)

    assert refusal(caught) == Refusal("OUT_OF_RANGE", "RANGE_NOT_SATISFIABLE")
    assert caught.value.details().startswith(f"the picture has {stored.size_bytes} bytes")


def test_a_range_of_other_bytes_is_answered_with_the_whole(world):
    owner = uuid4()
    stored = world.store(owner=owner)
    some = {"range": ByteRange(first=0, last=1)}

    same, _ = world.download(stored.id, as_person(owner), **some, if_range_sha256=stored.sha256)
    other, _ = world.download(stored.id, as_person(owner), **some, if_range_sha256="0" * 64)

    assert (same.length, other.length) == (2, stored.size_bytes)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"width": 99_999}, "width"),
        ({"width": 0}, "width"),
        ({"width": -160}, "width"),
        ({"formats": [WEBP] * 5}, "formats"),
        ({"formats": [0]}, "formats[0]"),
        ({"formats": [99]}, "formats[0]"),
        ({"range": ByteRange()}, "range.start"),
        ({"range": ByteRange(first=2, last=1)}, "range"),
        ({"range": ByteRange(first=-1)}, "range.first"),
        ({"if_range_sha256": "A"}, "if_range_sha256"),
    ],
)
def test_every_wish_has_its_rule(world, wanted, field):
    with pytest.raises(grpc.RpcError) as caught:
        world.download(str(uuid4()), as_person(), **wanted)
    assert refusal(caught) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", (field,))


def test_a_variant_that_the_store_has_lost_is_made_anew(world):
    owner, result_id = a_picture(world)
    first = world.download(result_id, as_person(owner), **SMALL)
    [lost] = world.rows("variants")
    (world.folder / lost.store_key).unlink()

    assert world.download(result_id, as_person(owner), **SMALL) == first

    [made] = world.rows("variants")
    assert world.files() == sorted([made.store_key, f"{result_id}.png"])
    assert world.rows("orphans") == []


def test_no_variant_is_made_of_a_picture_that_the_store_has_lost(world):
    owner, result_id = a_picture(world)
    (world.folder / f"{result_id}.png").unlink()
    counted = REGISTRY.get_sample_value("imagegen_results_pictures_lost_total")

    with pytest.raises(grpc.RpcError) as caught:
        world.download(result_id, as_person(owner), **SMALL)

    assert refusal(caught) == LOST
    assert REGISTRY.get_sample_value("imagegen_results_pictures_lost_total") == counted + 1
    assert world.rows("variants") == world.rows("orphans") == []


@pytest.fixture
def s3(rclone) -> Blobs:
    """A store that hands bytes out itself."""
    return Blobs.from_url(f"s3://{BUCKET}/{uuid4()}", rclone.options(), redirects=True)


@pytest.fixture
def on_s3(world, s3) -> Iterator[World]:
    with replica(world, s3) as other:
        yield other


def test_a_store_that_can_hands_the_bytes_out_itself_for_ten_minutes_at_most(on_s3):
    owner, result_id = a_picture(on_s3)

    picture, chunks = on_s3.download(result_id, as_person(owner), **SMALL, redirect=True)

    assert 0 < picture.redirect_seconds <= 600
    assert f"X-Amz-Expires={picture.redirect_seconds}" in picture.redirect_url
    assert (picture.length, chunks) == (0, [])
    answer = httpx.get(picture.redirect_url, trust_env=False)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert hashlib.sha256(answer.content).hexdigest() == picture.sha256
    assert "X-Amz" not in str([on_s3.rows(table) for table in ("results", "variants", "orphans")])


def test_who_follows_no_redirect_gets_the_bytes_from_here(on_s3):
    owner, result_id = a_picture(on_s3)

    picture, chunks = on_s3.download(result_id, as_person(owner), **SMALL)

    assert (picture.redirect_url, picture.length) == ("", len(b"".join(chunks)))


def test_nobody_is_sent_to_where_the_picture_is_no_more(on_s3, s3):
    owner, result_id = a_picture(on_s3)
    s3.delete(f"{result_id}.png")

    with pytest.raises(grpc.RpcError) as caught:
        on_s3.download(result_id, as_person(owner), redirect=True)

    assert refusal(caught) == LOST


def test_every_picture_is_stored_with_a_thumb_hash(world):
    owner, png = uuid4(), a_png(400, 300)

    stored = world.store(png, owner=owner)

    with Image.open(io.BytesIO(png)) as image:
        assert stored.thumb_hash == thumb_hash(image)
    assert world.get(owner, stored.id).thumb_hash == stored.thumb_hash


def test_a_picture_that_pillow_cannot_open_is_kept_and_sent_as_it_is(world):
    profile = b"p\0\0" + zlib.compress(bytes(2_000_000))
    pixels = chunk(b"IDAT", zlib.compress(b"\0ab" * 2))
    owner = uuid4()

    stored = world.store(png_of(header(2, 2), chunk(b"iCCP", profile), pixels), owner=owner)

    assert stored.thumb_hash == b""
    picture, _ = world.download(stored.id, as_person(owner), formats=[WEBP])
    assert (picture.media_type, picture.sha256) == ("image/png", stored.sha256)


def test_the_thumbnail_is_there_before_anybody_asks_for_it(world):
    owner, result_id = a_picture(world)
    store = WatchedStore.from_url(world.folder.as_uri())
    store.watch()
    database = Database(world.database.url.render_as_string(hide_password=False))
    results = UseCases.on(database, store, world.links)
    result = results.delivery.owned(OwnerId(owner), ResultId(UUID(result_id)))

    async def run() -> None:
        results.maker.announce(result)
        making = asyncio.create_task(results.maker.make_thumbnails())
        assert await asyncio.to_thread(store.written.wait, 20)
        variant = await results.maker.variant(result, Shape(THUMBNAIL_WIDTH, 240, Format.WEBP))
        assert (variant.width, variant.media_type, len(store.read_keys)) == (320, "image/webp", 1)
        making.cancel()

    asyncio.run(run())
    database.close()


def test_a_thumbnail_that_cannot_be_made_does_not_keep_the_next_from_being_made(world):
    (owner, lost_id), (other, kept_id) = a_picture(world), a_picture(world)
    store = WatchedStore.from_url(world.folder.as_uri())
    store.watch()
    database = Database(world.database.url.render_as_string(hide_password=False))
    results = UseCases.on(database, store, world.links)
    lost = results.delivery.owned(OwnerId(owner), ResultId(UUID(lost_id)))
    kept = results.delivery.owned(OwnerId(other), ResultId(UUID(kept_id)))
    world.delete(owner, lost_id)

    async def run() -> None:
        for result in (lost, kept):
            results.maker.announce(result)
        making = asyncio.create_task(results.maker.make_thumbnails())
        assert await asyncio.to_thread(store.written.wait, 20)
        with pytest.raises((ResultNotFound, FileNotFoundError)):
            await results.maker.variant(lost, Shape(THUMBNAIL_WIDTH, 240, Format.WEBP))
        making.cancel()

    asyncio.run(run())
    database.close()
