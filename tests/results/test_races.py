"""Calls that meet. Each race starts at a barrier and must end well whoever wins."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any
from uuid import uuid4

import grpc
import sqlalchemy as sa

from services.results.domain import TaskId
from services.results.store import lock_task
from tests.results.pictures import a_png

ROUNDS = 10


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What each returned, or the status code that it was refused with."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except grpc.RpcError as error:
            return error.code().name

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def test_of_64_workers_that_store_the_same_picture_one_wins_and_all_agree(world):
    task, owner = uuid4(), uuid4()
    pngs = [a_png(seed=seed) for seed in range(64)]

    answers = at_once([partial(world.store, png, task=task, owner=owner) for png in pngs])

    [row] = world.rows("results")
    assert {answer.id for answer in answers} == {str(row.id)}
    assert world.files() == [row.image_url]
    assert world.rows("orphans") == []


def test_a_picture_that_meets_the_discard_of_its_task_does_not_stay(world):
    for _ in range(ROUNDS):
        task, owner = uuid4(), uuid4()
        stores = [partial(world.store, task=task, owner=owner, index=index) for index in range(4)]

        *_, discarded = at_once([*stores, partial(world.discard, task, owner)])

        assert discarded is None
        assert world.rows("results") == world.files() == world.rows("orphans") == []


def test_a_repeat_that_meets_the_deletion_does_not_bring_the_picture_back(world):
    for _ in range(ROUNDS):
        task, owner = uuid4(), uuid4()
        first = world.store(task=task, owner=owner)
        repeat = partial(world.store, a_png(seed=1), task=task, owner=owner)

        *repeated, deleted = at_once([*[repeat] * 4, partial(world.delete, owner, first.id)])

        assert deleted is None
        assert all(answer in (first, "FAILED_PRECONDITION") for answer in repeated)
        assert world.rows("results") == world.files() == world.rows("orphans") == []


def test_of_many_who_delete_a_result_one_does(world):
    owner = uuid4()
    stored = world.store(owner=owner)

    answers = at_once([partial(world.delete, owner, stored.id)] * 8)

    assert sorted(answers, key=str) == ["NOT_FOUND"] * 7 + [None]
    assert world.files() == []


def test_what_ends_a_picture_waits_for_one_that_is_just_being_stored(world):
    task, owner = TaskId(uuid4()), uuid4()
    stored = world.store(task=task, owner=owner)
    enders = [partial(world.delete, owner, stored.id), partial(world.discard, task, owner)]
    with ThreadPoolExecutor() as threads:
        with world.database.begin() as tx:
            lock_task(tx, task)
            ends = [threads.submit(ender) for ender in enders]
            waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            while tx.execute(waiting).scalar_one() < len(enders):
                assert not any(end.done() for end in ends)
        for end in ends:
            end.exception(10)

    assert world.rows("results") == world.files() == []
