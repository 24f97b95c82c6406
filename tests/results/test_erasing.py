"""A deleted account: its pictures go with every byte of them, and whoever still brings one is sent away."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from uuid import UUID, uuid4

import grpc
import pytest
import sqlalchemy as sa

from services.results.blobs import Blobs
from services.results.domain import OwnerId, ResultDiscarded, TaskId
from services.results.store import share_owner
from services.results.storing import ERASED_AT_ONCE
from services.results.use_cases import UseCases
from services.runtime.database import Database
from tests.results.conftest import Refusal, World, refusal
from tests.results.pictures import a_png
from tests.results.test_crashes import RECIPE, TWO_HOURS_PASS, DeadStore, an_upload
from tests.results.test_races import ROUNDS, at_once

DISCARDED = Refusal("FAILED_PRECONDITION", "RESULT_DISCARDED")
NOT_FOUND = Refusal("NOT_FOUND", "RESULT_NOT_FOUND")


def tables(world: World) -> str:
    """Everything that the database holds, as text."""
    names = sa.inspect(world.database).get_table_names()
    return "".join(str(row) for name in names for row in world.rows(name))


def refused(call: Callable[..., object], *args: object, **fields: object) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **fields)
    return refusal(caught)


@contextmanager
def another(world: World, blobs: Blobs) -> Iterator[UseCases]:
    """One more process on the same database, with a store of its own kind."""
    database = Database(world.database.url.render_as_string(hide_password=False))
    yield UseCases.on(database, blobs, world.links)
    database.close()


def test_an_erased_owners_pictures_are_gone_and_nobody_elses(world):
    owner, task = uuid4(), uuid4()
    stored = [world.store(owner=owner, task=task, index=index) for index in range(3)]
    world.delete(owner, stored[0].id)
    world.discard(uuid4(), owner)
    other = world.store()

    assert world.results.storing.erase(owner)

    assert world.files() == [f"{other.id}.png"]
    held = tables(world)
    assert other.id in held
    for trace in (str(owner), owner.hex, str(task), *(result.id for result in stored)):
        assert trace not in held
    link = stored[1].image_link
    assert refused(world.download, stored[1].id, link=link) == NOT_FOUND


def test_nothing_more_is_taken_for_an_erased_owner(world):
    owner, task = uuid4(), uuid4()
    stored = world.store(owner=owner, task=task)
    world.results.storing.erase(owner)

    assert refused(world.store, owner=owner, task=task) == DISCARDED
    assert refused(world.store, owner=owner) == DISCARDED
    assert refused(world.delete, owner, stored.id) == NOT_FOUND
    world.discard(task, owner)

    assert str(owner) not in tables(world)
    assert world.files() == []


def test_an_erasure_may_be_repeated(world):
    owner = uuid4()
    world.store(owner=owner)

    assert world.results.storing.erase(owner)
    assert world.results.storing.erase(owner)


def test_a_great_many_pictures_go_piece_by_piece(world):
    owner = uuid4()
    world.store(owner=owner)
    world.sql(
        "INSERT INTO results SELECT (r).* FROM (SELECT jsonb_populate_record(results, jsonb_build_object("
        "'id', new.id, 'task_id', new.id, 'image_url', new.id || '.png')) AS r FROM results,"
        f" (SELECT uuidv7() AS id FROM generate_series(1, {ERASED_AT_ONCE})) AS new)"
    )

    assert not world.results.storing.erase(owner)
    assert len(world.rows("results")) == 1
    assert not world.results.storing.erase(owner), "there are still bytes to delete"
    assert world.rows("results") == []


def test_whatever_meets_an_erasure_leaves_nothing(world):
    for _ in range(ROUNDS):
        task, owner = uuid4(), uuid4()
        first = world.store(task=task, owner=owner)
        calls = [
            *(partial(world.store, task=task, owner=owner, index=index) for index in range(4)),
            partial(world.store, owner=owner),
            partial(world.discard, task, owner),
            partial(world.delete, owner, first.id),
            partial(world.results.storing.erase, owner),
        ]

        answers = at_once(calls)

        assert not {answer for answer in answers if isinstance(answer, str)} - {"FAILED_PRECONDITION", "NOT_FOUND"}
        assert world.results.storing.erase(owner)
        assert str(owner) not in tables(world)
        assert world.files() == []


def test_an_erasure_waits_for_whoever_is_just_writing_a_row(world):
    owner = OwnerId(uuid4())
    with ThreadPoolExecutor() as threads, world.database.begin() as tx:
        share_owner(tx, owner)
        erasing = threads.submit(world.results.storing.erase, owner)
        waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        while not tx.execute(waiting).scalar_one():
            assert not erasing.done()
        tx.commit()
        assert erasing.result(10)


class HeldStore(Blobs):
    """Every write waits until it may go on."""

    reached: threading.Event
    go_on: threading.Event

    def write(self, key: str, data: bytes, media_type: str) -> None:
        self.reached.set()
        assert self.go_on.wait(10)
        super().write(key, data, media_type)


def test_bytes_that_are_on_their_way_in_are_deleted_by_who_writes_them(world):
    owner = OwnerId(uuid4())
    held = HeldStore.from_url(world.folder.as_uri())
    held.reached, held.go_on = threading.Event(), threading.Event()
    with another(world, held) as slow, ThreadPoolExecutor() as threads:
        storing = threads.submit(slow.storing.store_result, owner, TaskId(uuid4()), 0, RECIPE, an_upload(a_png()))
        assert held.reached.wait(10)

        assert not world.results.storing.erase(owner), "the bytes come only now"

        held.go_on.set()
        assert isinstance(storing.exception(10), ResultDiscarded)
    assert world.results.storing.erase(owner)
    assert world.files() == world.rows("results") == world.rows("orphans") == []


def test_bytes_whose_writer_died_are_waited_for_until_they_are_swept(world):
    owner = uuid4()
    world.sql("ALTER TABLE results ADD CONSTRAINT no_rows CHECK (false)")
    assert refused(world.store, owner=owner).code == "INTERNAL"

    assert not world.results.storing.erase(owner)
    world.sql(TWO_HOURS_PASS)
    world.results.sweeper.sweep()

    assert world.results.storing.erase(owner)
    assert world.files() == world.rows("orphans") == []


def test_an_erasure_that_cannot_delete_bytes_is_not_done_before_it_can(world):
    owner = OwnerId(uuid4())
    stored = world.store(owner=owner)
    with another(world, DeadStore.from_url(world.folder.as_uri())) as broken:
        assert not broken.storing.erase(owner)
    assert world.rows("results") == []
    assert world.files() == [f"{stored.id}.png"]

    assert world.results.storing.erase(owner)

    assert world.files() == world.rows("orphans") == []


def test_bytes_of_nobody_knows_whom_might_be_the_owners(world):
    world.sql("INSERT INTO orphans VALUES ('old.png', true, now())")
    (world.folder / "old.png").write_bytes(b"\x89PNG")

    assert not world.results.storing.erase(UUID(int=7))
    world.results.sweeper.sweep()

    assert world.results.storing.erase(UUID(int=7))
