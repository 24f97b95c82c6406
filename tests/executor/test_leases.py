"""A lease survives a network that is cut off for its length, and not longer."""

import math
import threading
import time
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from services.executor import store
from services.executor.domain import MOST_ADOPTIONS, EngineId, FailureReason, NotClaimable, State
from services.executor.scheduling.claims import Claims
from services.executor.scheduling.estimates import Estimates
from services.executor.scheduling.ledger import Ledger
from services.executor.worker.leases import LeaseKeeper
from tests.executor.builders import a_job, a_spec
from tests.executor.sketch_process import SketchProcess
from tests.executor.worker_parts import LEASE, in_thread, now, until, worker_parts
from tests.tcp_proxy import TcpProxy

STEP_SECONDS = 0.4  # of 512×512; a step of 64×64 takes an eighth
BLOCK = timedelta(seconds=1.5)  # longer than from one renewal to the next, shorter than the lease


@pytest.fixture(scope="module")
def sketch():
    with SketchProcess(step_seconds=STEP_SECONDS) as sketch:
        yield sketch


@pytest.fixture
def network(database_url):
    """The way to PostgreSQL, for whoever goes by `network.url`."""
    url = sa.make_url(database_url)
    with TcpProxy(f"{url.host}:{url.port}") as network:
        host, _, port = network.address.rpartition(":")
        network.url = url.set(host=host, port=int(port)).render_as_string(hide_password=False)
        yield network
        network.pass_on()


@pytest.fixture
def worker(network, redis_url, results, sketch):
    """A worker that reaches PostgreSQL by the network that can be cut off."""
    with worker_parts(
        database_url=network.url,
        redis_url=redis_url,
        results_address=results.address,
        comfyui_url=sketch.url,
    ) as parts:
        yield parts


@pytest.fixture
def another_worker(database_url, redis_url, results):
    """One on an engine of its own, which no network cuts off."""
    with (
        SketchProcess() as sketch,
        worker_parts(
            database_url=database_url,
            redis_url=redis_url,
            results_address=results.address,
            comfyui_url=sketch.url,
        ) as parts,
    ):
        yield parts


def add(database, **changes):
    job = a_job(created_at=now(), **changes)
    with database.transaction() as tx:
        Ledger(None).add(tx, job)
    return job


def get(database, job):
    with database.transaction() as tx:
        return store.get_job(tx, job.id)


def take_back(database, job, *, tries=4):
    """What the executor does with a job whose lease and grace are over."""
    with database.transaction() as tx:
        held = store.get_job(tx, job.id, lock=True)
        moment = held.lease.expires_at
        taken = held.expire(moment, timedelta(0), tries)
        Ledger(None).save(tx, held, taken, moment)
    return taken


def claims_of(database, engine_id, lease=LEASE):
    return Claims(
        engine_id, database=database, ledger=Ledger(None), estimates=lambda: Estimates({}, {}), lease=lease, clock=now
    )


def claim(database, engine_id=None):
    claims = claims_of(database, engine_id or EngineId(uuid4()))
    return claims.claim(frozenset({"sd15"}), loaded="", ahead=False)


def was_not_renewed_for_a_while(hold):
    return hold.valid_until - time.monotonic() < (LEASE - BLOCK).total_seconds()


@pytest.mark.parametrize("cut", ["freeze", "drop"])
def test_a_lease_outlives_a_block_that_is_shorter(database, network, worker, cut):
    add(database)
    with worker.leases.keep(worker.claim()) as hold:
        getattr(network, cut)()
        until(lambda: was_not_renewed_for_a_while(hold))
        network.pass_on()
        until(lambda: not was_not_renewed_for_a_while(hold))
        assert not hold.lost
        assert not hold.stop.is_set()
        assert get(database, hold.job).lease.expires_at > now()


def test_a_lease_is_lost_at_its_end_even_while_a_renewal_hangs(database, network, worker):
    add(database)
    with worker.leases.keep(worker.claim()) as hold:
        network.freeze()
        assert hold.stop.wait(30)
        assert hold.lost
        assert get(database, hold.job).lease.expires_at <= now()
    network.pass_on()


def test_a_renewal_that_arrives_after_a_take_over_changes_nothing(database, network, worker):
    add(database)
    with worker.leases.keep(worker.claim()) as hold:
        network.freeze()
        assert hold.stop.wait(30)
        take_back(database, hold.job)
        taken = claim(database)
        network.pass_on()
        worker.leases.stop()  # returns once the renewal that hung has ended
        assert hold.lost
        assert get(database, hold.job) == taken


@pytest.mark.parametrize("cut", ["freeze", "drop"])
def test_a_job_outlives_a_short_block_uncounted(database, network, worker, results, cut):
    job = add(database, spec=a_spec(width=64, height=64, steps=60, seed=len(cut)))
    claimed = worker.claim()
    painted = in_thread(lambda: worker.painter.paint(claimed))
    until(lambda: get(database, job).state is State.PROCESSING)
    getattr(network, cut)()
    lease = get(database, job).lease.expires_at
    until(lambda: lease - now() < LEASE - BLOCK)
    network.pass_on()
    painted()
    ended = get(database, job)
    assert (ended.state, ended.attempts, ended.lease_epoch) == (State.COMPLETED, 0, 1)
    assert list(results.pictures[str(job.id)]) == [0]


def test_a_worker_that_is_cut_off_for_longer_writes_nothing_more_and_another_paints(
    database, network, worker, another_worker, results
):
    job = add(database, spec=a_spec(width=64, height=64, steps=100))
    claimed = worker.claim()
    painted = in_thread(lambda: worker.painter.paint(claimed))
    until(lambda: get(database, job).state is State.PROCESSING)
    network.freeze()
    painted()  # it gives up by itself, while everything of it still hangs
    assert get(database, job).state is State.PROCESSING
    assert get(database, job).lease.expires_at <= now()
    waiting = take_back(database, job)
    assert (waiting.state, waiting.attempts) == (State.PENDING, 1)
    another_worker.painter.paint(another_worker.claim())
    ended = get(database, job)
    assert (ended.state, ended.attempts, ended.lease_epoch) == (State.COMPLETED, 1, 2)
    network.pass_on()
    worker.runs.sweep()
    until(lambda: worker.engine.queue_length() == 0)
    assert get(database, job) == ended
    assert list(results.pictures[str(job.id)]) == [0]


def test_a_run_may_take_its_limit_from_when_it_begins(database):
    add(database)
    keeper = LeaseKeeper(database, LEASE, timedelta(seconds=0.1), now, lambda _: None)
    keeper.start()
    with keeper.keep(claim(database)) as hold:
        assert hold.ends_at == math.inf, "it waits for the run before it"
        hold.begin()
        assert hold.stop.wait(10)
        assert hold.timed_out
        assert not hold.lost
    keeper.stop()


def test_a_job_that_is_claimed_while_all_are_abandoned_is_abandoned_too(database):
    add(database)
    keeper = LeaseKeeper(database, LEASE, LEASE, now, lambda _: None)
    keeper.abandon_all()
    with keeper.keep(claim(database)) as hold:
        assert hold.stop.is_set()


def test_an_engine_that_is_slow_to_interrupt_is_asked_again_only_when_it_has_answered(database):
    job, asked, may_answer = add(database), threading.Semaphore(0), threading.Event()

    def interrupt(_job):
        asked.release()
        may_answer.wait(60)

    keeper = LeaseKeeper(database, LEASE, LEASE, now, interrupt)
    keeper.start()
    with keeper.keep(claim(database)) as hold:
        with database.transaction() as tx:
            held = store.get_job(tx, job.id, lock=True)
            Ledger(None).save(tx, held, held.request_cancel(now()), now())
        assert asked.acquire(timeout=30)
        renewed_at = hold.valid_until
        until(lambda: hold.valid_until > renewed_at + 2)  # two renewals that find the cancel too
        assert not asked.acquire(blocking=False)
        may_answer.set()
        assert asked.acquire(timeout=30)
    keeper.stop()


def test_a_database_that_answers_nonsense_does_not_end_the_renewals(database):
    add(database)
    keeper = LeaseKeeper(database, LEASE, LEASE, now, lambda _: None)
    keeper.start()
    with keeper.keep(claim(database)) as hold:
        rename(database, "jobs", "hidden")
        until(lambda: was_not_renewed_for_a_while(hold))
        rename(database, "hidden", "jobs")
        until(lambda: not was_not_renewed_for_a_while(hold))
        assert keeper.is_alive
    keeper.stop()


def rename(database, table, name):
    with database.transaction() as tx:
        tx.execute(sa.text(f"ALTER TABLE {table} RENAME TO {name}"))


def test_a_cancel_reaches_a_run_with_the_next_renewal(database):
    job = add(database)
    interrupted = threading.Event()
    keeper = LeaseKeeper(database, LEASE, LEASE, now, lambda _: interrupted.set())
    keeper.start()
    with keeper.keep(claim(database)) as hold:
        with database.transaction() as tx:
            held = store.get_job(tx, job.id, lock=True)
            Ledger(None).save(tx, held, held.request_cancel(now()), now())
        assert interrupted.wait(10)
        assert hold.cancel_requested
        assert not hold.lost
    keeper.stop()


def test_a_run_under_which_worker_after_worker_dies_is_painted_anew_and_fails_at_last(database):
    """Each worker dies at once: its lease is over as soon as it has it."""
    job = add(database)
    claims = claims_of(database, EngineId(uuid4()), lease=timedelta(0))
    prompts = []
    for attempt in range(1, 5):
        run = claims.claim(frozenset({"sd15"}), loaded="", ahead=False)
        prompts.append(run.lease.prompt_id)
        adopted = [claims.adopt() for _ in range(MOST_ADOPTIONS)]
        assert {job.lease.prompt_id for job in adopted} == {run.lease.prompt_id}
        assert claims.adopt() is None
        left = take_back(database, job)
        assert left.attempts == attempt
    assert len(set(prompts)) == 4
    assert (left.state, left.failure.reason) == (State.FAILED, FailureReason.ENGINE_LOST)
    with pytest.raises(NotClaimable):
        left.adopt(EngineId(uuid4()), now(), LEASE)
