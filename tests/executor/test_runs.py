"""A run that nobody waits for is stopped and forgotten, also if its engine is away meanwhile."""

from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from services.executor import store
from services.executor.domain import State
from services.executor.scheduling.ledger import Ledger
from tests.executor.builders import a_job, a_spec
from tests.executor.sketch_process import SketchProcess
from tests.executor.worker_parts import MAX_ATTEMPTS, in_thread, now, until, worker_parts
from tests.tcp_proxy import TcpProxy

AT_ONCE = timedelta(0)


@pytest.fixture(scope="module")
def sketch():
    with SketchProcess(step_seconds=0.4) as sketch:  # of 512×512; a step of 64×64 takes an eighth
        yield sketch


@pytest.fixture
def network(sketch):
    """The worker's way to its engine."""
    with TcpProxy(sketch.url.removeprefix("http://")) as network:
        yield network
        network.pass_on()


@pytest.fixture
def hire(database_url, redis_url, results, network):
    """Makes a worker that does not renew its leases."""

    def hire(**settings):
        return worker_parts(
            database_url=database_url,
            redis_url=redis_url,
            results_address=results.address,
            comfyui_url=f"http://{network.address}",
            renews=False,
            **settings,
        )

    return hire


@pytest.fixture
def job(database):
    """A job that takes five seconds to paint."""
    job = a_job(spec=a_spec(width=64, height=64, steps=100, seed=uuid4().int % 2**53), created_at=now())
    with database.transaction() as tx:
        Ledger(None).add(tx, job)
    return job


def get(database, job):
    with database.transaction() as tx:
        return store.get_job(tx, job.id)


def status(sketch, claimed):
    """Of the run in the engine's record; None if it has none."""
    answer = httpx.get(f"{sketch.url}/api/jobs/{claimed.lease.prompt_id}")
    return None if answer.status_code == httpx.codes.NOT_FOUND else answer.json()["status"]


def assert_ends_and_is_forgotten(sketch, worker, claimed):
    until(lambda: status(sketch, claimed) != "in_progress")
    assert status(sketch, claimed) == "cancelled"
    worker.runs.sweep()
    assert status(sketch, claimed) is None


def test_a_run_that_lost_its_lease_is_ended_when_its_engine_is_back(executor, sketch, network, hire, job):
    with hire(lease=AT_ONCE) as worker:
        claimed = worker.claim()
        executor.expiry.look(AT_ONCE, MAX_ATTEMPTS)
        worker.painter.paint(claimed)
        network.drop()
        worker.runs.sweep()
        network.pass_on()
        assert status(sketch, claimed) == "in_progress"
        worker.runs.sweep()
        assert_ends_and_is_forgotten(sketch, worker, claimed)


def test_a_run_that_may_still_be_adopted_is_left_alone(sketch, hire, job, database):
    with hire(lease=AT_ONCE) as worker:
        claimed = worker.claim()
        worker.runs.leave(claimed)
        painted = in_thread(lambda: worker.painter.paint(claimed))
        until(lambda: get(database, job).state is State.PROCESSING)
        worker.runs.sweep()
        assert status(sketch, claimed) == "in_progress"
        worker.leases.abandon_all()
        painted()


def test_a_run_that_is_given_up_while_its_engine_is_away_is_ended_when_that_is_back(
    database, sketch, network, hire, job
):
    with hire() as worker:
        claimed = worker.claim()
        painted = in_thread(lambda: worker.painter.paint(claimed))
        until(lambda: get(database, job).state is State.PROCESSING)
        network.drop()
        worker.leases.abandon_all()
        painted()
        given_back = get(database, job)
        assert (given_back.state, given_back.attempts) == (State.PENDING, 0)
        network.pass_on()
        assert status(sketch, claimed) == "in_progress"
        worker.runs.sweep()
        assert_ends_and_is_forgotten(sketch, worker, claimed)


class Clock:
    """Breaks the next time that it is asked, if it is told to."""

    breaks = False

    def __call__(self):
        if self.breaks:
            self.breaks = False
            raise RuntimeError
        return now()


def test_a_run_whose_worker_broke_is_ended(database, sketch, hire, job):
    clock = Clock()
    with hire(clock=clock) as worker:
        claimed = worker.claim()
        clock.breaks = True
        worker.painter.paint(claimed)
        failed = get(database, job)
        assert (failed.state, failed.attempts) == (State.PENDING, 1)
        assert_ends_and_is_forgotten(sketch, worker, claimed)
