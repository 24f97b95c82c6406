"""Who makes a variant, when, and what becomes of it when its result ends meanwhile."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID, uuid4

import grpc
import pytest
import sqlalchemy as sa
from imagegen.results.v1 import results_service_pb2
from prometheus_client import REGISTRY

from services.results.blobs import Blobs
from services.results.domain import OwnerId, ResultId, ResultNotFound
from services.results.making import THUMBNAIL_WIDTH
from services.results.store import hold_result
from services.results.use_cases import UseCases
from services.results.variants import Format, Shape
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from tests.identities import as_person
from tests.results.conftest import Refusal, World, refusal, refusal_of
from tests.results.downloading import (
    AVIF,
    JPEG,
    LOST,
    NOT_FOUND,
    SMALL,
    WEBP,
    WatchedStore,
    a_picture,
    replica,
    watched,
)
from tests.results.test_crashes import TWO_HOURS_PASS
from tests.results.test_races import ROUNDS, at_once


def nothing_is_left(world: World) -> bool:
    rows = [world.rows(table) for table in ("results", "variants", "orphans")]
    return rows == [[], [], []] and world.files() == []


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
