"""Races between workers, cancels and results: whoever is late changes nothing, and each job ends once."""

import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from uuid import uuid4

import grpc
import pytest

from services.executor import store
from services.executor.domain import JobId, OwnerId, State
from services.executor.engine.events import Preview, Progress
from services.executor.scheduling.learning import Learning
from services.executor.scheduling.ledger import Ledger
from services.executor.worker.attempt import MOST_NOT_TAKEN
from services.executor.worker.narration import MOST_EVENTS, Narration
from services.executor.worker.timeline import AttemptTimeline
from tests.executor.builders import a_job, a_spec
from tests.executor.conftest import FOLDER
from tests.executor.sketch_process import SketchProcess
from tests.executor.worker_parts import MAX_ATTEMPTS, in_thread, now, until, worker_parts
from tests.tcp_proxy import TcpProxy

AT_ONCE = timedelta(0)
ROUNDS = 8


@pytest.fixture(scope="module")
def sketches():
    with SketchProcess() as one, SketchProcess() as other:
        yield one, other


@pytest.fixture
def hire(database_url, redis_url, results, sketches):
    """Makes a worker on the first engine and, the second time, one on the other."""
    engines = iter(sketches)
    with ExitStack() as hired:

        def hire(**settings):
            parts = worker_parts(
                database_url=database_url,
                redis_url=redis_url,
                results_address=results.address,
                comfyui_url=next(engines).url,
                **settings,
            )
            return hired.enter_context(parts)

        yield hire


@pytest.fixture
def hire_again(database_url, redis_url, results):
    """Makes the next worker of the engine of another one; `url`: its own way there."""
    with ExitStack() as hired:

        def hire_again(former, url=""):
            parts = worker_parts(
                database_url=database_url,
                redis_url=redis_url,
                results_address=results.address,
                comfyui_url=url or former.url,
                engine_id=former.engine_id,
            )
            return hired.enter_context(parts)

        yield hire_again


@pytest.fixture
def sleeper(hire):
    """A worker whose leases are over as soon as it has them and who never learns of it, as if it were stopped."""
    return hire(lease=AT_ONCE, renews=False)


@pytest.fixture
def worker(hire):
    return hire()


@pytest.fixture
def add(database):
    """Puts a small job in the queue."""

    def add(**spec):
        small = {"width": 64, "height": 64, "steps": 2, "seed": uuid4().int % 2**53}
        job = a_job(spec=a_spec(**small | spec), created_at=now())
        with database.transaction() as tx:
            Ledger(None).add(tx, job)
        return job

    return add


def get(database, job):
    with database.transaction() as tx:
        return store.get_job(tx, job.id)


def painting(worker):
    """A worker claims a job and paints it in the background; a function that waits for the end of that."""
    claimed = worker.claim()
    return in_thread(lambda: worker.painter.paint(claimed))


def cancel(executor, job):
    return executor.executor.cancel(JobId(job.id), OwnerId(job.owner_id))


def pictures_of(results, job):
    return list(results.pictures.get(str(job.id), {}))


def test_a_worker_that_lost_its_lease_writes_nothing_and_leaves_nothing(executor, sleeper, results, add):
    database = executor.database
    job = add(steps=50)
    claimed = sleeper.claim()
    executor.expiry.look(AT_ONCE, MAX_ATTEMPTS)
    waiting = get(database, job)
    assert (waiting.state, waiting.attempts) == (State.PENDING, 1)
    sleeper.painter.paint(claimed)
    assert get(database, job) == waiting
    assert pictures_of(results, job) == []
    sleeper.runs.sweep()
    until(lambda: sleeper.engine.queue_length() == 0)


def test_a_picture_that_comes_after_a_take_over_changes_nothing(executor, sleeper, worker, results, add):
    database = executor.database
    job = add()
    gate = results.hold_next()
    late = painting(sleeper)
    assert gate.arrived.wait(30)
    executor.expiry.look(AT_ONCE, MAX_ATTEMPTS)
    worker.painter.paint(worker.claim())
    ended, pictures = get(database, job), dict(results.pictures[str(job.id)])
    assert (ended.state, ended.attempts, ended.lease_epoch) == (State.COMPLETED, 1, 2)
    gate.open()
    late()
    assert get(database, job) == ended
    assert results.pictures[str(job.id)] == pictures
    assert list(pictures) == [0]


@pytest.mark.parametrize("end", [State.CANCELED, State.FAILED])
def test_a_picture_that_comes_after_the_end_brings_nothing_back(executor, sleeper, results, add, end):
    database = executor.database
    job = add()
    gate = results.hold_next()
    late = painting(sleeper)
    assert gate.arrived.wait(30)
    if end is State.CANCELED:
        cancel(executor, job)
    executor.expiry.look(AT_ONCE, max_attempts=1)
    ended = get(database, job)
    assert (ended.state, ended.discard_pending) == (end, True)
    sleeper.painter.discard(ended)
    gate.open()
    late()
    assert (get(database, job).state, get(database, job).version) == (end, ended.version)
    assert pictures_of(results, job) == []


def test_a_picture_that_was_deleted_before_it_came_is_not_painted_again(database, worker, results, add):
    job = add()
    results.discarded.add(str(job.id))
    worker.painter.paint(worker.claim())
    ended = get(database, job)
    assert (ended.state, ended.attempts) == (State.CANCELED, 0)


def test_a_cancel_before_the_end_wins(executor, database, worker, results, add):
    job = add()
    gate = results.hold_next()
    painted = painting(worker)
    assert gate.arrived.wait(30)
    assert cancel(executor, job).state is State.PROCESSING
    gate.open()
    painted()
    assert get(database, job).state is State.CANCELED
    assert pictures_of(results, job) == []
    assert str(job.id) in results.discarded


def test_a_cancel_after_the_end_changes_nothing(executor, database, worker, results, add):
    job = add()
    worker.painter.paint(worker.claim())
    ended = get(database, job)
    assert cancel(executor, job) == ended
    assert ended.state is State.COMPLETED
    assert pictures_of(results, job) == [0]


def test_a_cancel_at_the_moment_of_success_leaves_a_picture_or_none(executor, database, worker, results, add):
    for _ in range(ROUNDS):
        job, barrier = add(), threading.Barrier(2)
        gate = results.hold_next()
        painted = painting(worker)
        assert gate.arrived.wait(30)

        def cancel_at_once(job=job, barrier=barrier):
            barrier.wait()
            cancel(executor, job)

        canceled = in_thread(cancel_at_once)
        barrier.wait()
        gate.open()
        painted()
        canceled()
        ended = get(database, job)
        assert ended.is_finished
        assert pictures_of(results, job) == ([0] if ended.state is State.COMPLETED else [])


def test_a_cancel_need_not_wait_until_results_is_back(executor, database, worker, results, add):
    results.is_away = True
    job = add()
    painted = painting(worker)
    until(lambda: get(database, job).state is State.PROCESSING)
    cancel(executor, job)
    painted()
    assert (get(database, job).state, get(database, job).discard_pending) == (State.CANCELED, True)
    results.is_away = False


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.PERMISSION_DENIED])
def test_results_that_fail_for_good_cost_an_attempt(database, worker, results, add, code):
    job = add()
    results.refuse = [code] * MOST_NOT_TAKEN
    worker.painter.paint(worker.claim())
    left = get(database, job)
    assert (left.state, left.attempts) == (State.PENDING, 1)


def test_results_that_are_away_for_longer_cost_nothing(database, worker, results, add):
    job = add()
    results.refuse = [grpc.StatusCode.RESOURCE_EXHAUSTED] * (MOST_NOT_TAKEN + 1)
    worker.painter.paint(worker.claim())
    ended = get(database, job)
    assert (ended.state, ended.attempts) == (State.COMPLETED, 0)


def test_a_fault_of_results_that_passes_costs_no_attempt(database, worker, results, add):
    job = add()
    results.refuse = [grpc.StatusCode.INTERNAL] * (MOST_NOT_TAKEN - 1)
    worker.painter.paint(worker.claim())
    ended = get(database, job)
    assert (ended.state, ended.attempts) == (State.COMPLETED, 0)


def test_a_job_that_is_given_back_is_taken_by_one_other_worker(database, hire, results, add):
    """The one gives back while the other claims; neither waits for the other."""
    one, other = hire(), hire()
    for _ in range(ROUNDS):
        job, barrier = add(), threading.Barrier(2)
        claimed = one.claim()

        def give_back(job=job, barrier=barrier):
            barrier.wait()
            with database.transaction() as tx:
                held = store.get_job(tx, job.id, lock=True)
                Ledger(None).save(tx, held, held.give_back(1, now()), now())

        def take(barrier=barrier):
            barrier.wait()
            while (taken := other.claim()) is None:
                pass
            return taken

        giving, taking = in_thread(give_back), in_thread(take)
        giving()
        taken = taking()
        assert (taken.id, taken.lease.engine_id, taken.lease_epoch) == (job.id, other.engine_id, 2)
        one.painter.paint(claimed)  # as a worker that was stopped and wakes
        assert get(database, job) == taken
        other.painter.paint(taken)
        ended = get(database, job)
        assert (ended.state, ended.attempts) == (State.COMPLETED, 0)
        assert pictures_of(results, job) == [0]


def test_an_adopted_job_is_painted_by_the_run_that_was_going(database, sleeper, results, add, hire_again):
    job, before = add(), sleeper.run_ids()
    gates = [results.hold_next(), results.hold_next()]
    late = painting(sleeper)
    assert gates[0].arrived.wait(30)
    successor = hire_again(sleeper)
    adopted = successor.claims.adopt()
    assert successor.claims.adopt(in_hand=[job.id]) is None
    painted = in_thread(lambda: successor.painter.paint(adopted))
    assert gates[1].arrived.wait(30)
    runs = [run for run in successor.run_ids() if run not in before]
    assert runs == [str(adopted.lease.prompt_id)], "the engine was asked once"
    for gate in reversed(gates):
        gate.open()
    painted()
    late()
    ended = get(database, job)
    assert (ended.state, ended.attempts, ended.lease_epoch) == (State.COMPLETED, 0, 2)
    assert pictures_of(results, job) == [0]
    assert runs[0] not in successor.run_ids()


def test_an_adopter_waits_for_an_engine_that_is_away_for_a_moment(database, sleeper, results, add, hire_again):
    job, gate = add(), results.hold_next()
    late = painting(sleeper)
    assert gate.arrived.wait(30)
    with TcpProxy(sleeper.url.removeprefix("http://")) as network:
        successor = hire_again(sleeper, f"http://{network.address}")
        network.drop()
        adopted = successor.claims.adopt()
        painted = in_thread(lambda: successor.painter.paint(adopted))
        until(lambda: get(database, job).lease.expires_at > adopted.lease.expires_at)  # it asked in vain until then
        network.pass_on()
        painted()
    gate.open()
    late()
    ended = get(database, job)
    assert (ended.state, ended.attempts, ended.lease_epoch) == (State.COMPLETED, 0, 2)


class Listener:
    """What a run's narration tells the watchers."""

    def __init__(self):
        self.told = []

    def progress(self, _job_id, _epoch, step, _steps):
        self.told.append(step)

    def preview(self, *_):
        self.told.append("preview")


def test_a_job_tells_five_steps_and_five_previews_a_second_at_most(database, worker, add):
    add()
    listener = Listener()
    learning = Learning(database, FOLDER)
    job = worker.claim()
    narration = Narration(
        job,
        timeline=AttemptTimeline(job, now),
        registration=worker.registration,
        learning=learning,
        publisher=listener,
        start=lambda: None,
    )
    began = time.monotonic()
    for step in [*range(1, 500), *[500] * 20]:
        narration(Progress(step, 500, "3"))
        narration(Preview("image/jpeg", b""))
    seconds = int(time.monotonic() - began) + 1
    previews = listener.told.count("preview")
    assert previews <= MOST_EVENTS * seconds
    assert len(listener.told) - previews <= MOST_EVENTS * seconds
    assert listener.told[0] == 1
    assert 500 in listener.told, "the last step is told"
