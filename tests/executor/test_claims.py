"""Which job a worker takes, on real PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.executor import store
from services.executor.claims import Claims
from services.executor.domain import EngineId, OwnerId, Worker
from tests.executor.builders import ENGINE, LEASE, a_job

OTHER_ENGINE = EngineId(uuid4())
SD15 = frozenset({"sd15"})


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(database):
    """Put jobs into the queue."""

    def put(*jobs):
        with database.transaction() as tx:
            for job in jobs:
                store.insert_job(tx, job)
        return jobs

    return put


def claims(database, clock, engine=ENGINE) -> Claims:
    return Claims(engine, database, LEASE, clock)


def an_idle_worker(database, clock, *models):
    with database.transaction() as tx:
        store.save_worker(tx, Worker(OTHER_ENGINE, frozenset(models), "0.33.0", "test", 0, True, clock()))


def test_owners_take_turns_however_many_jobs_one_of_them_has(database, clock, queue):
    greedy, light = OwnerId(uuid4()), OwnerId(uuid4())
    queue(*(a_job(owner_id=greedy, cost=10.0) for _ in range(4)), a_job(owner_id=light, cost=10.0))
    claiming = claims(database, clock)
    assert [claiming.claim(SD15, ahead=False).owner_id for _ in range(3)] == [greedy, light, greedy]


def test_only_jobs_of_the_engines_models_are_taken(database, clock, queue):
    queue(a_job(model="sdxl"))
    assert claims(database, clock).claim(SD15, ahead=False) is None
    assert claims(database, clock).claim(frozenset(), ahead=False) is None


def test_a_job_is_claimed_by_one_worker_only(database, clock, queue):
    queue(*(a_job() for _ in range(10)))
    barrier = threading.Barrier(6)

    def take_all(engine):
        barrier.wait()
        taken = []
        while job := claims(database, clock, engine).claim(SD15, ahead=False):
            taken.append(job.id)
        return taken

    with ThreadPoolExecutor(6) as pool:
        taken = [job_id for jobs in pool.map(take_all, [EngineId(uuid4()) for _ in range(6)]) for job_id in jobs]
    assert len(taken) == len(set(taken)) == 10


def test_a_slot_that_works_ahead_leaves_jobs_to_an_idle_worker(database, clock, queue):
    queue(a_job())
    an_idle_worker(database, clock, "sd15")
    assert claims(database, clock).claim(SD15, ahead=True) is None
    assert claims(database, clock).claim(SD15, ahead=False)


def test_a_slot_works_ahead_when_the_idle_worker_is_away_or_cannot_do_it(database, clock, queue):
    queue(a_job(), a_job())
    an_idle_worker(database, clock, "sdxl")
    assert claims(database, clock).claim(SD15, ahead=True)
    an_idle_worker(database, clock, "sd15")
    clock.now += timedelta(minutes=1)
    assert claims(database, clock).claim(SD15, ahead=True)


def test_a_run_is_adopted_by_its_own_engine_once_its_lease_has_expired(database, clock, queue):
    queue(a_job())
    claimed = claims(database, clock).claim(SD15, ahead=False)
    assert claims(database, clock).adopt() is None, "the lease still holds"
    clock.now += LEASE
    assert claims(database, clock, OTHER_ENGINE).adopt() is None
    adopted = claims(database, clock).adopt()
    assert (adopted.id, adopted.lease.prompt_id) == (claimed.id, claimed.lease.prompt_id)
    assert adopted.lease_epoch == claimed.lease_epoch + 1


def test_a_canceled_job_leaves_no_trace_in_its_owners_account(database, clock, queue):
    [job] = queue(a_job(cost=10.0))
    with database.transaction() as tx:
        store.save_job(tx, store.get_job(tx, job.id, lock=True).request_cancel(clock()))
        assert store.lock_account(tx, job.owner_id).vtime == 0.0
    assert claims(database, clock).claim(SD15, ahead=False) is None
