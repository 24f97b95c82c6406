"""Two real workers on two real engines, of which only one has every model: nobody waits while somebody able is idle."""

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from imagegen.executor.v1 import job_pb2

from deploy.local.ports import reserved_ports
from services.executor import store
from services.executor.domain import EngineId
from services.executor.engine.folder import ModelFolder
from services.executor.settings import MODELS
from services.executor.worker.slots import LOOK_SECONDS
from services.executor.workers import Standing
from services.runtime.database import Database
from tests.executor.conftest import serving
from tests.executor.sketch_process import SketchProcess
from tests.executor.worker_parts import now, until
from tests.executor.worker_process import WorkerProcess, remembering_results
from tests.executor.workshop import Workshop
from tests.tcp_proxy import TcpProxy

STEP_SECONDS = 0.4  # of 512×512; a step of 64×64 takes an eighth
MARGIN_SECONDS = 3.0  # for the machine; without bells a look would still find what a defect would leave for ever
COMPLETED = job_pb2.JOB_STATE_COMPLETED


@dataclass
class Hand:
    """A worker and its engine."""

    worker: WorkerProcess
    sketch: SketchProcess
    liveness: str

    @property
    def id(self) -> EngineId:
        return EngineId(self.worker.engine_id)

    def fail_next(self, fault: str, times: int = 1) -> None:
        httpx.post(f"{self.sketch.url}/sketch/faults", json={"kind": fault, "times": times}).raise_for_status()


@dataclass
class Two(Workshop):
    """`able` has every model, `narrow` only sd15. `redis` is their way to Redis."""

    able: Hand
    narrow: Hand
    redis: TcpProxy
    models_dir: Path

    def engine_of(self, job_id: str) -> EngineId | None:
        """Whose worker holds the job."""
        lease = self.row(job_id).lease
        return lease and lease.engine_id

    def painted_by(self, **changes) -> EngineId:
        """Whose worker took a job that is submitted now; it has ended when this returns."""
        gate = self.results.hold_next()
        job_id = self.submit(**changes)
        assert gate.arrived.wait(30)
        engine_id = self.engine_of(job_id)
        gate.open()
        assert self.ended(job_id).state == COMPLETED
        return engine_id

    def take_back(self) -> None:
        """What the executor's server does every two seconds."""
        self.executor.expiry.look(timedelta(seconds=2), 4)

    def are_able(self) -> bool:
        workers = [self.report_of(hand.id) for hand in (self.able, self.narrow)]
        return all(worker and worker.is_able(now()) for worker in workers)


@pytest.fixture(scope="module")
def two(databases, valkey, tmp_path_factory) -> Iterator[Two]:
    models_dir = tmp_path_factory.mktemp("models")
    shutil.copytree(MODELS, models_dir, dirs_exist_ok=True)
    for path in models_dir.glob("sdxl-turbo.*"):
        path.unlink()
    with databases() as fresh_database, ExitStack() as running, reserved_ports(["able", "narrow"]) as ports:
        database_url = fresh_database("executor")
        database = running.enter_context(closing(Database(database_url)))
        executor = running.enter_context(serving(database, valkey, folder=ModelFolder(models_dir)))
        address, results = running.enter_context(remembering_results())
        redis = running.enter_context(TcpProxy(valkey.removeprefix("redis://").removesuffix("/0")))

        def hand(name: str, *lacking: str) -> Hand:
            sketch = running.enter_context(
                SketchProcess(*(f"--without={file}" for file in lacking), step_seconds=STEP_SECONDS)
            )
            liveness = f"127.0.0.1:{ports[name]}"
            worker = WorkerProcess(
                database_url=database_url,
                redis_url=f"redis://{redis.address}/0",
                results_address=address,
                comfyui_url=sketch.url,
                EXECUTOR_MODELS_DIR=str(models_dir),
                EXECUTOR_LIVENESS_LISTEN=liveness,
                EXECUTOR_STALL_SECONDS="2",
            )
            return Hand(running.enter_context(worker), sketch, liveness)

        able = hand("able")
        narrow = hand("narrow", "sd_xl_base_1.0.safetensors", "sd_xl_turbo_1.0_fp16.safetensors")
        two = Two(executor, results, able, narrow, redis, models_dir)
        until(two.are_able)
        yield two


@contextmanager
def longest_idleness(two: Two) -> Iterator[list[float]]:
    """How long each worker was idle at a stretch, in seconds, while a job waited that it could have begun."""
    since: dict[EngineId, float] = {}
    stretches = [0.0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            with two.executor.database.transaction() as tx:
                queued, workers, held = store.unfinished(tx), store.list_workers(tx, now()), store.held_jobs(tx)
            waiting = {job.model for job in queued if job.engine_id is None}
            for worker in workers:
                if worker.is_able(now()) and worker.engine_id not in held and worker.models & waiting:
                    began = since.setdefault(worker.engine_id, time.monotonic())
                    stretches.append(time.monotonic() - began)
                else:
                    since.pop(worker.engine_id, None)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield stretches
    finally:
        over.set()
        watcher.join()


MIXED = ["sdxl", "sd15", "sd15", "sdxl", "sd15", "sd15", "sd15", "sdxl"]


def test_nobody_waits_while_somebody_able_is_idle(two):
    with longest_idleness(two) as stretches:
        jobs = [two.submit(model=model) for model in MIXED]
        assert {two.ended(job_id).state for job_id in jobs} == {COMPLETED}
    assert max(stretches) < LOOK_SECONDS + MARGIN_SECONDS


def test_idle_workers_share_by_what_they_have_loaded(two):
    """The able one could paint both; it leaves sd15 to the one that has it in memory."""
    two.drain(two.narrow.id)
    until(lambda: two.report_of(two.narrow.id).standing(now()) is Standing.DRAINED)
    assert two.painted_by(model="sdxl") == two.able.id
    two.resume(two.narrow.id)
    two.drain(two.able.id)
    assert two.painted_by() == two.narrow.id
    two.resume(two.able.id)
    until(lambda: two.are_able() and two.report_of(two.able.id).loaded_model == "sdxl")
    assert [two.painted_by() for _ in range(3)] == [two.narrow.id] * 3


def test_a_drained_worker_finishes_what_it_holds_and_takes_nothing(two):
    two.drain(two.able.id)
    until(lambda: two.report_of(two.able.id).standing(now()) is Standing.DRAINED)
    held = two.submit(steps=100)
    two.until(held, "progress")
    two.drain(two.narrow.id)
    until(lambda: two.report_of(two.narrow.id).standing(now()) is Standing.DRAINED)
    waiting = two.submit()
    assert two.ended(held).state == COMPLETED
    assert two.row(waiting).lease_epoch == 0
    two.resume(two.narrow.id)
    assert two.ended(waiting).state == COMPLETED
    two.resume(two.able.id)
    until(two.are_able)


def test_a_stopped_worker_that_wakes_after_a_take_over_writes_nothing(two):
    job_id = two.submit(steps=100)
    two.until(job_id, "progress")
    sleeper = two.able if two.engine_of(job_id) == two.able.id else two.narrow
    sleeper.worker.signal(signal.SIGSTOP)
    until(lambda: two.take_back() or two.row(job_id).lease_epoch == 2 or two.row(job_id).is_finished)
    ended = two.ended(job_id)
    assert (ended.state, ended.attempts) == (COMPLETED, 1)
    row = two.row(job_id)
    sleeper.worker.signal(signal.SIGCONT)
    until(two.are_able)
    assert two.row(job_id) == row
    assert list(two.results.pictures[job_id]) == [0]


def test_with_worker_and_engine_dead_another_paints_anew(two):
    job_id = two.submit(steps=100)
    two.until(job_id, "progress")
    dead = two.able if two.engine_of(job_id) == two.able.id else two.narrow
    dead.worker.kill()
    dead.sketch.kill()
    until(lambda: two.take_back() or two.row(job_id).lease_epoch == 2 or two.row(job_id).is_finished)
    ended = two.ended(job_id)
    assert (ended.state, ended.attempts) == (COMPLETED, 1)
    assert list(two.results.pictures[job_id]) == [0]
    dead.sketch.start()
    dead.worker.start()
    until(two.are_able)


def test_a_job_of_an_engine_that_paints_no_longer_is_painted_by_another(two):
    """Its HTTP answers; nothing but a restart, for which its liveness probe asks, brings it back."""
    two.drain(two.narrow.id)
    until(lambda: two.report_of(two.narrow.id).standing(now()) is Standing.DRAINED)
    two.able.fail_next("zombie")
    job_id = two.submit()
    until(lambda: not two.report_of(two.able.id).is_well)
    assert two.report_of(two.able.id).problem.startswith("The engine answers but paints no longer")
    assert httpx.get(f"http://{two.able.liveness}/engine").status_code == 503
    assert httpx.get(f"http://{two.able.liveness}/worker").status_code == 200
    two.resume(two.narrow.id)
    ended = two.ended(job_id)
    assert (ended.state, ended.attempts) == (COMPLETED, 1)
    two.able.sketch.restart()
    until(two.are_able)
    assert httpx.get(f"http://{two.able.liveness}/engine").status_code == 200
    assert two.painted_by(model="sdxl") == two.able.id


def test_jobs_of_an_engine_that_fails_again_and_again_go_to_another(two):
    two.drain(two.narrow.id)
    until(lambda: two.report_of(two.narrow.id).standing(now()) is Standing.DRAINED)
    two.able.fail_next("oom", 4)  # it may have begun a fourth one by then
    jobs = [two.submit() for _ in range(6)]
    until(lambda: two.report_of(two.able.id).standing(now()) is Standing.QUARANTINED)
    assert two.report_of(two.able.id).problem == "Its runs failed again and again."
    two.resume(two.narrow.id)
    ended = [two.ended(job_id) for job_id in jobs]
    assert {job.state for job in ended} == {COMPLETED}
    assert two.painted_by() == two.narrow.id
    two.resume(two.able.id)
    until(two.are_able)
    assert two.painted_by(model="sdxl") == two.able.id


def test_a_model_that_is_dropped_in_the_folder_is_painted_without_any_restart(two):
    for path in MODELS.glob("sdxl-turbo.*"):
        shutil.copy(path, two.models_dir)
    until(lambda: "sdxl-turbo" in two.report_of(two.able.id).models)
    until(lambda: "sdxl-turbo" in two.executor.executor.models()[0])
    assert two.painted_by(model="sdxl-turbo", width=512, height=512, steps=1, cfg=1.0) == two.able.id


def test_without_redis_nobody_waits_for_longer_than_a_look_either(two):
    """The last test of all: Celery takes its time to come back."""
    two.redis.drop()
    with longest_idleness(two) as stretches:
        jobs = [two.submit(model=model) for model in MIXED]
        assert {two.ended(job_id).state for job_id in jobs} == {COMPLETED}
    assert max(stretches) < LOOK_SECONDS + MARGIN_SECONDS
