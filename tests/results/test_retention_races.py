"""Pictures whose time is up, and what is done with them at the same moment."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from uuid import uuid4

import pytest
import sqlalchemy as sa

from services.results.domain import TaskId
from services.results.store import lock_task
from tests.results.conftest import World
from tests.results.pictures import a_png
from tests.results.retaining import age, counted, retaining, sweep_all
from tests.results.sharing import HOUR, Sharer, opened
from tests.results.test_gallery import marks
from tests.results.test_races import ROUNDS, at_once
from tests.results.test_storage import Installation, kept_up


@pytest.fixture
def here(world) -> Iterator[Installation]:
    with retaining(world) as it:
        yield it


@contextmanager
def a_sweep_that_has_chosen(world: World, here: Installation, task: TaskId) -> Iterator[None]:
    """While a sweep is about to delete the task's pictures; it is over at the end."""
    with ThreadPoolExecutor() as threads:
        with world.database.begin() as tx:
            lock_task(tx, task)
            sweeping = threads.submit(here.results.retention.sweep)
            waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            while not tx.execute(waiting).scalar_one():
                assert not sweeping.done()
            yield
        sweeping.result(10)


def test_a_picture_that_is_kept_at_the_last_moment_stays(world, here):
    owner, task = uuid4(), TaskId(uuid4())
    stored = world.store(owner=owner, task=task)
    age(world, 31)

    with a_sweep_that_has_chosen(world, here, task):
        marks(world, owner, stored.id, favorite=True)

    assert [result.id for result in world.listed(owner).results] == [stored.id]
    assert world.files() == [f"{stored.id}.png"]


def test_a_picture_that_is_shared_at_the_last_moment_stays(world, here):
    task = TaskId(uuid4())
    sharer = Sharer(world, task=task)
    age(world, 31)

    with a_sweep_that_has_chosen(world, here, task):
        sharer.create()

    assert world.get(sharer.id, sharer.picture.id)


def test_a_link_whose_end_is_just_being_moved_is_waited_for(world, here):
    sharer = Sharer(world)
    sharer.create(expires_in=HOUR)
    age(world, 31)
    world.sql("UPDATE shares SET expires_at = now() - interval '31 days'")
    with ThreadPoolExecutor() as threads:
        with world.database.begin() as tx:
            tx.execute(sa.text("UPDATE shares SET expires_at = now() + interval '1 hour'"))
            sweeping = threads.submit(here.results.retention.sweep)
            waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted")
            while not tx.execute(waiting).scalar_one():
                assert not sweeping.done()
        sweeping.result(10)

    assert world.get(sharer.id, sharer.picture.id)


def test_who_was_told_that_it_is_shared_can_show_it(world, here):
    for _ in range(ROUNDS):
        sharer = Sharer(world)
        age(world, 31)

        _, shared = at_once([here.results.retention.sweep, sharer.create])
        sweep_all(here)

        if shared == "NOT_FOUND":
            assert world.rows("results") == []
        else:
            assert opened(world, shared.token).width == sharer.picture.width
            world.delete(sharer.id, sharer.picture.id)


def test_who_was_told_that_it_is_a_favorite_has_it(world, here):
    for _ in range(ROUNDS):
        owner = uuid4()
        stored = world.store(owner=owner)
        age(world, 31)

        _, marked = at_once([here.results.retention.sweep, partial(marks, world, owner, stored.id, favorite=True)])
        sweep_all(here)

        assert marked in (None, "NOT_FOUND")
        assert [result.id for result in world.listed(owner).results] == ([] if marked else [stored.id])


def test_sweeps_and_owners_at_once_delete_each_picture_once(world, here):
    for _ in range(ROUNDS):
        owner, task = uuid4(), uuid4()
        stored = [world.store(a_png(seed=index), owner=owner, task=task, index=index) for index in range(3)]
        age(world, 31)
        before = counted()
        sweeps = [partial(here.results.retention.sweep)] * 3
        deletes = [partial(world.delete, owner, stored[0].id)]
        repeats = [partial(world.store, owner=owner, task=task, index=1)]

        *_, deleted, repeated = at_once([*sweeps, *deletes, *repeats])
        sweep_all(here)

        assert deleted in (None, "NOT_FOUND")
        assert repeated == "FAILED_PRECONDITION" or repeated.id == stored[1].id
        assert counted() - before == (3 if deleted else 2)
        assert world.rows("results") == world.files() == world.rows("orphans") == kept_up(world) == []


def test_an_erasure_is_not_disturbed(world, here):
    for _ in range(ROUNDS):
        owner = uuid4()
        for _ in range(3):
            world.store(owner=owner)
        age(world, 31)

        at_once([partial(here.results.retention.sweep), partial(world.results.storing.erase, owner)])

        assert world.results.storing.erase(owner)
        assert world.rows("tombstones") == world.rows("usage") == world.rows("results") == []
