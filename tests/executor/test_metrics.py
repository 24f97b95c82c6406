"""What Prometheus is told of the queue and of the workers."""

from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import httpx
import pytest
from prometheus_client import CollectorRegistry

from deploy.local.ports import reserved_ports
from services.executor import store
from services.executor.domain import EngineId
from services.executor.metrics import LEASES_EXPIRED, QueueCollector
from services.executor.scheduling.estimates import ENOUGH, Key, Kind, size_of
from services.executor.scheduling.learning import Learning
from services.executor.scheduling.queue_view import QueueView
from services.executor.worker.metrics import BusyTime
from services.runtime.database import Database
from tests.executor.builders import ENGINE
from tests.executor.conftest import FOLDER, serving
from tests.executor.sketch_process import SketchProcess
from tests.executor.test_server import change, claim, submit
from tests.executor.worker_parts import until
from tests.executor.worker_process import WorkerProcess, remembering_results
from tests.executor.workshop import Workshop
from tests.scraping import figure

WORK = 512 * 512 * 20
"""Of what `submit` submits."""


@pytest.fixture
def executor(database, redis_url):
    """One that takes jobs although no worker has come yet."""
    with serving(database, redis_url, pools="*") as executor:
        yield executor


def told(executor):
    """A replica that has just looked at the queue; a function that reads one figure of it as a scrape would."""
    view = view_of(executor)
    view.look()
    return scraping(view)


def view_of(executor):
    database = executor.database
    return QueueView(database, Learning(database, FOLDER).estimates, lambda: FOLDER.models, executor.clock)


def scraping(view):
    registry = CollectorRegistry()
    registry.register(QueueCollector(lambda: view.census, lambda: FOLDER.models))
    return lambda name, **labels: registry.get_sample_value(f"imagegen_{name}", labels)


def test_a_model_that_nobody_waits_for_is_told_as_zero(executor):
    figure = told(executor)
    for name in ("waiting_jobs", "capped_jobs", "held_jobs", "painting_jobs", "backlog_seconds", "oldest_seconds"):
        assert {figure(f"queue_{name}", model=model) for model in FOLDER.models} == {0.0}, name
    assert figure("workers", standing="able") == 0


def test_before_the_first_look_nothing_is_told(executor):
    figure = scraping(view_of(executor))
    assert figure("queue_backlog_seconds", model="sd15") is None
    assert figure("queue_seen_timestamp_seconds") is None


def test_a_backlog_is_what_its_waiting_jobs_will_take_as_far_as_has_been_learnt(executor, database):
    with database.transaction() as tx:
        for _ in range(ENOUGH):
            store.add_sample(tx, Key(Kind.RUN, "sd15", ENGINE, size_of(WORK)), 3.0)
    for _ in range(4):
        submit(executor)
    submit(executor, model="sdxl", width=1024, height=1024, steps=20)
    figure = told(executor)
    hints = FOLDER.models
    assert figure("queue_backlog_seconds", model="sd15") == pytest.approx(4 * 3.0 * hints["sd15"].cost_seconds)
    assert figure("queue_waiting_jobs", model="sd15") == 4
    assert figure("queue_backlog_seconds", model="sdxl") > 0
    assert figure("queue_backlog_seconds", model="sdxl-turbo") == 0


def test_replicas_tell_the_same_of_the_one_queue(executor):
    for _ in range(2):
        submit(executor)
    figures = told(executor), told(executor)
    assert {figure("queue_waiting_jobs", model="sd15") for figure in figures} == {2}
    assert len({figure("queue_backlog_seconds", model="sd15") for figure in figures}) == 1


def test_what_an_owners_cap_holds_back_is_no_work_for_another_worker(database, redis_url, register_worker):
    register_worker("sd15")
    with serving(database, redis_url, running_cap=1) as executor:
        owner = str(uuid4())
        first, _ = (submit(executor, owner_id=owner) for _ in range(2))
        claim(executor, first.id, cap=1)
        figure = told(executor)
    assert figure("queue_capped_jobs", model="sd15") == 1
    assert figure("queue_held_jobs", model="sd15") == 1
    assert figure("queue_waiting_jobs", model="sd15") == 0
    assert figure("queue_backlog_seconds", model="sd15") == 0


def test_a_run_that_has_begun_is_told_as_painting(executor):
    job = submit(executor)
    claim(executor, job.id)
    change(executor, job.id, lambda job: job.start(1, datetime.now(UTC)))
    figure = told(executor)
    assert (figure("queue_held_jobs", model="sd15"), figure("queue_painting_jobs", model="sd15")) == (0, 1)


def test_the_age_of_a_queue_is_that_of_its_first_job(executor):
    submit(executor)
    executor.clock.ahead = timedelta(minutes=5)
    figure = told(executor)
    assert figure("queue_oldest_seconds", model="sd15") == pytest.approx(300, abs=5)
    assert figure("queue_seen_timestamp_seconds") == pytest.approx(executor.clock().timestamp(), abs=5)


def test_workers_are_counted_by_whether_they_take_jobs_and_by_what_they_have(executor, register_worker):
    register_worker("sd15", "sdxl")
    register_worker("sd15", engine_id=EngineId(uuid4()), is_well=False)
    register_worker("sd15", engine_id=EngineId(uuid4()), seen_at=datetime.now(UTC) - timedelta(minutes=1))
    figure = told(executor)
    standings = {standing: figure("workers", standing=standing) for standing in ("able", "unwell", "away", "drained")}
    assert standings == {"able": 1, "unwell": 1, "away": 1, "drained": 0}
    assert [figure("model_workers", model=model) for model in ("sd15", "sdxl", "sdxl-turbo")] == [1, 1, 0]


def test_a_scrape_asks_no_database(database_url, redis_url):
    with closing(Database(database_url)) as database, serving(database, redis_url, pools="*") as executor:
        submit(executor)
        figure = told(executor)
    assert figure("queue_waiting_jobs", model="sd15") == 1, "as it was when the database was there"


def test_a_job_whose_worker_died_is_counted_once(executor):
    job = submit(executor)
    claim(executor, job.id)
    counter = LEASES_EXPIRED.labels("sd15")
    before = counter._value.get()
    executor.clock.ahead = timedelta(hours=1)
    for _ in range(2):
        executor.expiry.look(timedelta(0), 4)
    assert counter._value.get() == before + 1


def test_busy_time_grows_while_the_engine_paints_and_a_second_counts_once():
    now = 0.0
    busy = BusyTime(lambda: now)
    busy.begin()
    now = 3.0
    assert busy.seconds == 3.0
    busy.begin()  # before the end of the first was heard of
    now = 4.0
    busy.end()
    now = 6.0
    busy.end()
    now = 100.0
    assert busy.seconds == 6.0
    (counter,) = busy.collect()
    assert [(sample.name, sample.value) for sample in counter.samples] == [("imagegen_worker_busy_seconds_total", 6.0)]


@pytest.fixture
def bench(database, database_url, redis_url):
    """A workshop, its worker, its engine, and the worker's figures."""
    with ExitStack() as running:
        executor = running.enter_context(serving(database, redis_url))
        address, results = running.enter_context(remembering_results())
        sketch = running.enter_context(SketchProcess(step_seconds=0.15))
        ports = running.enter_context(reserved_ports(["metrics"]))
        listen = f"127.0.0.1:{ports['metrics']}"
        worker = running.enter_context(
            WorkerProcess(
                database_url=database_url,
                redis_url=redis_url,
                results_address=address,
                comfyui_url=sketch.url,
                METRICS_LISTEN=listen,
            )
        )
        workshop = Workshop(executor, results)
        until(lambda: (report := workshop.report_of(worker.engine_id)) and report.models)
        yield workshop, worker, sketch, partial(figure, listen)


def test_a_worker_counts_what_it_does(bench):
    workshop, _, sketch, told = bench
    assert told("worker_claims_total", model="sd15") == 0, "a rate must see the first one"
    workshop.ended(workshop.submit(count=2))
    until(lambda: told("worker_pictures_total", model="sd15") == 2)
    assert told("worker_claims_total", model="sd15") == 1
    assert told("worker_attempts_total", model="sd15", outcome="completed") == 1
    assert told("worker_model_loads_total", model="sd15") == 1
    assert told("worker_picture_seconds_count", model="sd15") == 2
    run = told("worker_picture_seconds_sum", model="sd15")
    assert run > 0
    assert told("worker_busy_seconds_total") == pytest.approx(run, rel=0.1)
    assert told("worker_job_seconds_sum", model="sd15") >= run
    assert told("worker_engine_up") == 1

    httpx.post(f"{sketch.url}/sketch/faults", json={"kind": "value", "times": 1})
    workshop.ended(workshop.submit())
    until(lambda: told("worker_attempts_total", model="sd15", outcome="failed") == 1)

    sketch.kill()
    until(lambda: told("worker_engine_up") == 0)


def test_a_worker_counts_the_runs_that_it_adopts(bench):
    workshop, worker, _, told = bench
    job_id = workshop.submit(steps=60)
    workshop.until(job_id, "progress")
    worker.kill()
    worker.start()
    workshop.ended(job_id)
    assert told("worker_adoptions_total", model="sd15") == 1
    assert told("worker_claims_total", model="sd15") == 0
