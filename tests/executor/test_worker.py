"""A real worker process on sketch: from the queue to the stored picture, whatever dies meanwhile."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from io import BytesIO
from uuid import uuid4

import grpc
import httpx
import pytest
import redis
from imagegen.executor.v1 import executor_service_pb2 as pb
from imagegen.executor.v1 import job_pb2, model_pb2
from imagegen.results.v1 import recipe_pb2
from PIL import Image

from services.executor.domain import State
from services.runtime.database import Database
from services.runtime.protos import from_enum
from tests.executor.conftest import serving
from tests.executor.sketch_process import SketchProcess
from tests.executor.worker_parts import until
from tests.executor.worker_process import WorkerProcess, remembering_results
from tests.executor.workshop import GENERATION, Workshop
from tests.tcp_proxy import TcpProxy

STEP_SECONDS = 0.15


@dataclass
class Bench(Workshop):
    sketch: SketchProcess
    worker: WorkerProcess
    redis: TcpProxy

    def fail_next(self, fault: str, times: int = 1) -> None:
        """The engine's next sampler runs end in that fault."""
        httpx.post(f"{self.sketch.url}/sketch/faults", json={"kind": fault, "times": times}).raise_for_status()

    def run_ids(self) -> list[str]:
        """The prompts that the engine holds or remembers."""
        return [job["id"] for job in httpx.get(f"{self.sketch.url}/api/jobs").json()["jobs"]]


def kinds_of(job: job_pb2.Job) -> list[str | None]:
    return [from_enum(job_pb2.PhaseKind, phase.kind) for phase in job.timeline]


@pytest.fixture(scope="module")
def at(databases, valkey) -> Iterator[Bench]:
    """Executor server, worker, sketch and a results service. A test that kills one brings it back."""
    with databases() as fresh_database, ExitStack() as running:
        database_url = fresh_database("executor")
        database = running.enter_context(closing(Database(database_url)))
        executor = running.enter_context(serving(database, valkey))
        address, results = running.enter_context(remembering_results())
        redis_network = running.enter_context(TcpProxy(valkey.removeprefix("redis://").removesuffix("/0")))
        sketch = running.enter_context(SketchProcess(step_seconds=STEP_SECONDS))
        worker = running.enter_context(
            WorkerProcess(
                database_url=database_url,
                redis_url=f"redis://{redis_network.address}/0",
                results_address=address,
                comfyui_url=sketch.url,
            )
        )
        while not any(
            model.availability == model_pb2.MODEL_AVAILABILITY_AVAILABLE
            for model in executor.stub.ListModels(pb.ListModelsRequest(), metadata=GENERATION).models
        ):
            time.sleep(0.05)
        yield Bench(executor, results, sketch, worker, redis_network)


def test_a_job_is_painted_and_stored(at):
    job_id = at.submit(count=2, width=128, height=96)
    events = list(at.events(job_id))
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "snapshot"
    assert {"progress", "preview"} <= set(kinds)
    assert events[-1].status.state == job_pb2.JOB_STATE_COMPLETED
    pictures = at.results.pictures[job_id]
    assert [Image.open(BytesIO(pictures[index])).size for index in (0, 1)] == [(128, 96), (128, 96)]
    assert pictures[0] != pictures[1]


def test_a_picture_comes_with_what_it_was_painted_from(at):
    job_id = at.submit(prompt="a heron", seed=7, steps=3, cfg=6.5, count=2)
    at.ended(job_id)
    first, second = (header.recipe for header in at.results.headers if header.task_id == job_id)
    assert first == second
    assert first.engine.startswith("ComfyUI 0.")
    assert "sketch" in first.engine
    first.engine = ""
    assert first == recipe_pb2.Recipe(
        model="sd15", prompt="a heron", width=64, height=64, steps=3, cfg=6.5, seed=7, count=2
    )


def test_the_engine_keeps_nothing_of_a_finished_job(at):
    job_id = at.submit()
    assert at.ended(job_id).state == job_pb2.JOB_STATE_COMPLETED
    while at.run_ids():
        time.sleep(0.02)


def test_the_same_seed_paints_the_same_picture(at):
    first, second, third = at.submit(seed=5), at.submit(seed=5), at.submit(seed=6)
    for job_id in (first, second, third):
        assert at.ended(job_id).state == job_pb2.JOB_STATE_COMPLETED
    pixels = [Image.open(BytesIO(at.results.pictures[job_id][0])).tobytes() for job_id in (first, second, third)]
    assert pixels[0] == pixels[1] != pixels[2]


def test_a_killed_worker_is_replaced_by_one_that_adopts_the_run(at):
    job_id = at.submit(steps=100)
    at.until(job_id, "progress")
    run = at.row(job_id).lease.prompt_id
    gate = at.results.hold_next()
    at.worker.kill()
    at.worker.start()
    assert gate.arrived.wait(30)
    assert at.run_ids().count(str(run)) == 1, "the engine was asked once"
    assert at.row(job_id).lease.prompt_id == run
    gate.open()
    ended = at.ended(job_id)
    assert (ended.state, ended.attempts) == (job_pb2.JOB_STATE_COMPLETED, 0)
    assert list(at.results.pictures[job_id]) == [0]


def test_a_job_tells_what_it_was_at(at):
    job = at.ended(at.submit())
    kinds = kinds_of(job)
    assert kinds[:3] == ["queued", "starting", "painting"]
    assert kinds[-3:] == ["steps", "decode", "store"]
    moments = [phase.start_time.ToDatetime() for phase in job.timeline]
    assert moments[0] == job.create_time.ToDatetime()
    assert moments == sorted(moments)
    assert moments[-1] < job.finish_time.ToDatetime()


def test_a_run_that_was_taken_over_is_told_from_its_beginning(at):
    job_id = at.submit(steps=40)
    at.until(job_id, "progress")
    began_at = at.job(job_id).start_time
    at.worker.kill()
    at.worker.start()
    job = at.ended(job_id)
    assert job.attempts == 0
    assert kinds_of(job) == ["queued", "starting", "painting", "store"]
    assert job.timeline[2].start_time == began_at


def test_a_canceled_job_tells_how_far_it_came(at):
    job_id = at.submit(steps=100)
    at.until(job_id, "progress")
    at.cancel(job_id)
    job = at.ended(job_id)
    assert (job.state, kinds_of(job)[-1]) == (job_pb2.JOB_STATE_CANCELED, "steps")


def test_a_killed_engine_costs_one_attempt(at):
    job_id = at.submit(steps=100)
    at.until(job_id, "progress")
    at.sketch.restart()
    ended = at.ended(job_id)
    assert (ended.state, ended.attempts) == (job_pb2.JOB_STATE_COMPLETED, 1)
    assert kinds_of(ended)[:4] == ["queued", "lost", "queued", "starting"]


def test_while_the_engine_is_down_jobs_wait_and_say_why(at):
    at.sketch.kill()
    job_id = at.submit()
    events = at.events(job_id)
    while True:
        if at.job(job_id).waiting_reason == job_pb2.WAITING_REASON_NO_CAPACITY:
            break
        time.sleep(0.1)
    at.sketch.start()
    assert list(events)[-1].status.state == job_pb2.JOB_STATE_COMPLETED
    assert at.ended(job_id).attempts == 0


def test_a_processing_job_is_canceled_and_its_pictures_discarded(at):
    job_id = at.submit(steps=100)
    at.until(job_id, "progress")
    at.cancel(job_id)
    assert at.ended(job_id).state == job_pb2.JOB_STATE_CANCELED
    while job_id not in at.results.discarded:
        time.sleep(0.02)


def test_a_cancel_that_comes_while_the_picture_is_stored_wins(at):
    gate = at.results.hold_next()
    job_id = at.submit()
    while at.job(job_id).state != job_pb2.JOB_STATE_PROCESSING:
        time.sleep(0.02)
    at.cancel(job_id)
    gate.open()
    assert at.ended(job_id).state == job_pb2.JOB_STATE_CANCELED
    while job_id not in at.results.discarded:
        time.sleep(0.02)
    assert job_id not in at.results.pictures


def test_results_that_are_away_lose_no_picture(at):
    at.results.refuse = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE]
    ended = at.ended(job_id := at.submit())
    assert (ended.state, ended.attempts) == (job_pb2.JOB_STATE_COMPLETED, 0)
    assert list(at.results.pictures[job_id]) == [0]


def test_a_picture_that_results_refuses_is_painted_again(at):
    at.results.refuse = [grpc.StatusCode.INVALID_ARGUMENT]
    ended = at.ended(at.submit())
    assert (ended.state, ended.attempts) == (job_pb2.JOB_STATE_COMPLETED, 1)


def test_an_error_of_the_graph_fails_the_job_with_a_reason(at):
    at.fail_next("value")
    ended = at.ended(at.submit())
    assert (ended.state, ended.failure.reason) == (
        job_pb2.JOB_STATE_FAILED,
        job_pb2.FAILURE_REASON_ENGINE_FAILED,
    )
    assert ended.failure.message == "The engine failed while painting."


def test_out_of_memory_gets_one_retry(at):
    at.fail_next("oom")
    ended = at.ended(at.submit())
    assert (ended.state, ended.attempts) == (job_pb2.JOB_STATE_COMPLETED, 1)
    at.fail_next("oom", 2)
    ended = at.ended(at.submit())
    assert ended.failure.reason == job_pb2.FAILURE_REASON_OUT_OF_MEMORY


def test_a_poison_job_ends_after_its_last_attempt(at):
    at.results.refuse = [grpc.StatusCode.INVALID_ARGUMENT] * 4
    ended = at.ended(at.submit())
    assert (ended.state, ended.attempts) == (job_pb2.JOB_STATE_FAILED, 4)
    assert ended.failure.reason == job_pb2.FAILURE_REASON_RESULT_REFUSED


def test_a_worker_that_is_told_to_stop_gives_its_job_back_uncounted(at):
    job_id = at.submit(steps=100)
    at.until(job_id, "progress")
    assert at.worker.terminate() == 0
    job = at.job(job_id)
    assert (job.state, job.attempts) == (job_pb2.JOB_STATE_PENDING, 0)
    at.worker.start()
    assert at.ended(job_id).state == job_pb2.JOB_STATE_COMPLETED


def test_a_run_that_ends_within_the_grace_is_finished_and_nothing_more_is_taken(at):
    """The next job of the same owner would be claimable with the end of the first."""
    owner = str(uuid4())
    at.worker.terminate()
    at.worker.start(EXECUTOR_STOP_GRACE_SECONDS="30", EXECUTOR_RUNNING_CAP="1")
    gate = at.results.hold_next()
    held = at.submit(owner_id=owner)
    assert gate.arrived.wait(30)
    at.worker.signal(signal.SIGTERM)
    until(lambda: at.report_of(at.worker.engine_id).problem == "It is stopping.")
    waiting = at.submit(owner_id=owner)
    gate.open()
    assert at.worker.join() == 0
    assert (at.row(held).state, at.row(held).attempts) == (State.COMPLETED, 0)
    assert (at.row(waiting).state, at.row(waiting).lease_epoch) == (State.PENDING, 0)
    at.worker.start()
    assert at.ended(waiting).state == job_pb2.JOB_STATE_COMPLETED


def test_a_worker_whose_redis_is_frozen_stops_all_the_same(at):
    at.redis.freeze()
    gate = at.results.hold_next()  # it can be seen processing, however seldom it is looked at
    job_id = at.submit(steps=100)
    while at.job(job_id).state != job_pb2.JOB_STATE_PROCESSING:
        time.sleep(0.02)
    assert at.worker.terminate() == 0
    assert (at.row(job_id).state, at.row(job_id).attempts) == (State.PENDING, 0)
    gate.open()
    at.redis.pass_on()
    at.worker.start()
    assert at.ended(job_id).state == job_pb2.JOB_STATE_COMPLETED


def test_without_redis_jobs_are_painted_all_the_same(at, valkey):
    with redis.Redis.from_url(valkey) as client:
        client.execute_command("CLIENT", "PAUSE", 4000, "ALL")
        assert at.ended(at.submit()).state == job_pb2.JOB_STATE_COMPLETED


def test_a_flushed_redis_loses_no_job(at, valkey):
    with redis.Redis.from_url(valkey) as client:
        jobs = [at.submit() for _ in range(5)]
        client.flushall()
        assert {at.ended(job_id).state for job_id in jobs} == {job_pb2.JOB_STATE_COMPLETED}
