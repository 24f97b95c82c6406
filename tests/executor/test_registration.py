"""What a worker reports of itself and its engine, and what it may claim by that."""

import shutil
from contextlib import closing, contextmanager
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
import structlog

from deploy.local.ports import reserved_ports
from services.executor import store
from services.executor.domain import JobId
from services.executor.engine.comfyui import ComfyUI
from services.executor.engine.folder import ModelFolder
from services.executor.settings import MODELS
from services.executor.worker.health import FAILURES, LONGEST, SHORTEST, Health
from services.executor.worker.liveness import Liveness
from services.executor.worker.registration import Registration
from services.executor.workers import Standing
from tests.executor.builders import ENGINE, NOW
from tests.executor.conftest import FOLDER
from tests.executor.sketch_client import a_picture
from tests.executor.sketch_process import SketchProcess
from tests.executor.worker_parts import now, until

SD15 = frozenset({"sd15"})
CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"


class Clock:
    """The real time, and what a test adds to it."""

    def __init__(self):
        self.ahead = timedelta(0)

    def __call__(self):
        return now() + self.ahead


@pytest.fixture(scope="module")
def sketch():
    with SketchProcess() as sketch:
        yield sketch


@contextmanager
def registered(database, url, *, folder=FOLDER, clock=now, engine_id=ENGINE):
    with closing(ComfyUI(url)) as engine:
        engine.start()
        registration = Registration(engine_id, engine, folder, database, clock)
        registration.start()
        try:
            yield registration
        finally:
            registration.stop()


def reported(database, engine_id=ENGINE):
    with database.transaction() as tx:
        [worker] = [worker for worker in store.list_workers(tx, now()) if worker.engine_id == engine_id]
    return worker


def a_job_id():
    return JobId(uuid4())


def fail(registration, times=FAILURES):
    for _ in range(times):
        registration.failed(a_job_id())


def test_an_engine_is_reported_as_it_is(database, sketch):
    with registered(database, sketch.url) as registration:
        worker = reported(database)
        assert worker.standing(now()) is Standing.ABLE
        assert worker.engine_version == "0.33.0"
        assert worker.models == registration.claimable(0) == set(FOLDER.models)
        assert worker.vram_total > 0


def test_an_engine_that_is_too_old_is_refused_with_both_versions(database):
    with SketchProcess("--version=0.24.9") as sketch, registered(database, sketch.url) as registration:
        worker = reported(database)
        assert worker.standing(now()) is Standing.UNWELL
        assert worker.problem == "ComfyUI 0.25.0 or newer is needed, and this is 0.24.9."
        assert registration.claimable(0) == frozenset()


def test_a_model_whose_files_are_not_there_is_not_claimed_until_they_are(database):
    lacking = SketchProcess(f"--without={CHECKPOINT}")
    with lacking as sketch, registered(database, sketch.url) as registration:
        worker = reported(database)
        assert worker.missing["sd15"] == (f"checkpoints/{CHECKPOINT}",)
        assert "sd15" not in registration.claimable(0)
        sketch.kill()
        until(lambda: not reported(database).is_well)
        with SketchProcess(f"--port={sketch.url.rpartition(':')[2]}"):
            until(lambda: reported(database).is_well and reported(database).missing == {})
            until(lambda: "sd15" in registration.claimable(0))


def test_a_model_that_is_dropped_in_the_folder_is_reported_and_one_that_goes_is_not(database, sketch, tmp_path):
    for name in ("sd15.yaml", "sd15.json"):
        shutil.copy(MODELS / name, tmp_path)
    with registered(database, sketch.url, folder=ModelFolder(tmp_path)) as registration:
        assert registration.claimable(0) == SD15
        for name in ("sdxl.yaml", "sdxl.json"):
            shutil.copy(MODELS / name, tmp_path)
        until(lambda: reported(database).models == {"sd15", "sdxl"})
        for path in tmp_path.glob("sd15.*"):
            path.unlink()
        until(lambda: reported(database).models == {"sdxl"})


def test_an_engine_that_starts_later_than_its_worker_keeps_the_models_of_its_last_report(database, sketch):
    """Or else a rollout of both would refuse what people submit meanwhile."""
    with registered(database, sketch.url):
        pass
    with registered(database, "http://127.0.0.1:9") as registration:
        worker = reported(database)
        assert worker.models == set(FOLDER.models)
        assert worker.standing(now()) is Standing.UNWELL
        assert registration.claimable(0) == frozenset()


def test_a_database_that_answers_nonsense_does_not_end_the_reports(database, sketch):
    with registered(database, sketch.url) as registration:
        with log_of("worker not reported") as errors:
            rename(database, "workers", "hidden")
            registration.running("sdxl")
            until(lambda: errors)
        rename(database, "hidden", "workers")
        until(lambda: reported(database).loaded_model == "sdxl")


@contextmanager
def log_of(event):
    """The entries of that event, as they come."""
    found = []

    def keep(_logger, _method, entry):
        if entry["event"] == event:
            found.append(entry)
        raise structlog.DropEvent

    before = structlog.get_config()["processors"]
    structlog.configure(processors=[keep])
    try:
        yield found
    finally:
        structlog.configure(processors=before)


def rename(database, table, name):
    with database.transaction() as tx:
        tx.execute(sa.text(f"ALTER TABLE {table} RENAME TO {name}"))


def test_a_drained_worker_claims_nothing_until_it_is_resumed(database, sketch):
    with registered(database, sketch.url) as registration:
        with database.transaction() as tx:
            store.drain(tx, ENGINE)
        until(lambda: not registration.claimable(0))
        with database.transaction() as tx:
            store.resume(tx, ENGINE, now())
        until(lambda: registration.claimable(0))


def test_a_worker_that_stops_says_so_that_nobody_leaves_a_job_to_it(database, sketch):
    with registered(database, sketch.url) as registration:
        registration.leave()
        until(lambda: not reported(database).is_able(now()))
        assert reported(database).problem == "It is stopping."
        assert reported(database).models == set(FOLDER.models)


def test_an_engine_that_fails_again_and_again_is_quarantined_and_then_tried(database, sketch):
    clock = Clock()
    with registered(database, sketch.url, clock=clock) as registration:
        fail(registration, FAILURES - 1)
        assert registration.claimable(1)
        fail(registration, 1)
        assert not registration.claimable(0)
        until(lambda: reported(database).standing(clock()) is Standing.QUARANTINED)
        assert reported(database).problem == "Its runs failed again and again."
        clock.ahead += SHORTEST
        assert registration.claimable(0), "one job, on trial"
        assert not registration.claimable(1)
        registration.succeeded()
        assert registration.claimable(1)


def test_an_operator_ends_a_quarantine(database, sketch):
    with registered(database, sketch.url) as registration:
        fail(registration)
        with database.transaction() as tx:
            store.resume(tx, ENGINE, now())
        until(lambda: registration.claimable(1))


def test_an_engine_that_answers_but_paints_no_longer_must_be_restarted(database):
    with SketchProcess() as sketch, registered(database, sketch.url) as registration:
        httpx.post(f"{sketch.url}/sketch/faults", json={"kind": "zombie"}).raise_for_status()
        httpx.post(f"{sketch.url}/prompt", json={"prompt": a_picture()}).raise_for_status()
        registration.suspect(stalled=True)  # as a run of it does
        until(lambda: not reported(database).is_well)
        assert reported(database).problem == "The engine answers but paints no longer; its process must be restarted."
        assert registration.is_stalled
        sketch.restart()
        until(lambda: reported(database).is_well)
        assert not registration.is_stalled
        assert registration.claimable(0)


def test_only_a_dead_worker_thread_calls_for_a_restart():
    stalled = False
    with reserved_ports(["liveness"]) as ports:
        listen = f"127.0.0.1:{ports['liveness']}"
        with closing(Liveness(listen, {"/engine": lambda: not stalled})):
            assert httpx.get(f"http://{listen}/engine").status_code == 200
            stalled = True
            assert httpx.get(f"http://{listen}/engine").status_code == 503
            assert httpx.get(f"http://{listen}/").status_code == 404


def failed(health, now, times=FAILURES):
    for _ in range(times):
        health = health.fail(a_job_id(), now)
    return health


def test_one_poison_job_puts_no_engine_in_quarantine():
    health, job_id = Health(), a_job_id()
    for _ in range(2 * FAILURES):
        health = health.fail(job_id, NOW)
    assert health.may_take(1, NOW)


def test_a_quarantine_lasts_twice_as_long_each_time_up_to_a_bound():
    health, at, lengths = Health(), NOW, []
    for _ in range(7):
        health = failed(health, at) if health.until is None else health.fail(a_job_id(), at)
        lengths.append(health.until - at)
        at = health.until
    assert lengths[:3] == [SHORTEST, 2 * SHORTEST, 4 * SHORTEST]
    assert lengths[-1] == LONGEST


def test_what_was_begun_before_a_quarantine_does_not_prolong_it():
    health = failed(Health(), NOW)
    assert health.fail(a_job_id(), NOW) == health


def test_a_run_that_ends_well_restores_trust():
    health = failed(Health(), NOW)
    assert health.may_take(0, health.until)
    assert not health.may_take(1, health.until)
    assert health.succeed() == Health()
