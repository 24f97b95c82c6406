"""ExecutorService over real gRPC, PostgreSQL and Valkey."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import pytest
import redis
import sqlalchemy as sa
from imagegen.executor.v1 import executor_service_pb2 as pb
from imagegen.executor.v1 import job_pb2, model_pb2

from services.executor import store
from services.executor.bell import Bell, celery_app
from services.executor.domain import JobId
from services.executor.events import EVENTS, INCARNATION
from services.executor.expiry import ENGINE_MEMORY, STRANDED_AFTER
from services.executor.messages import job_to_proto
from services.executor.scheduling.estimates import Key, Kind
from services.executor.scheduling.learning import Learning
from services.executor.scheduling.ledger import Ledger
from services.executor.service import Executor
from services.executor.settings import Pools
from services.runtime.database import Database
from tests.executor.builders import ENGINE, LEASE, a_spec
from tests.executor.conftest import FOLDER, serving
from tests.grpc_errors import reason
from tests.identities import as_person, as_service

GENERATION = as_service("generation", "executor")


def a_submit(**changes):
    spec = {"prompt": "a lighthouse", "width": 512, "height": 512, "steps": 20, "cfg": 7.0, "seed": 1, "count": 1}
    fields = {"job_id": str(uuid4()), "owner_id": str(uuid4()), "model": "sd15"}
    for name, value in changes.items():
        (spec if name in spec else fields)[name] = value
    return pb.SubmitJobRequest(**fields, spec=job_pb2.JobSpec(**spec))


def submit(executor, **changes):
    return executor.stub.SubmitJob(a_submit(**changes), metadata=GENERATION, timeout=5).job


def watch(executor, job_id, cursor=""):
    return executor.stub.WatchJob(pb.WatchJobRequest(job_id=job_id, cursor=cursor), metadata=GENERATION, timeout=20)


def first_event(executor, job_id, cursor=""):
    events = watch(executor, job_id, cursor)
    try:
        return next(events)
    finally:
        events.cancel()


def claim(executor, job_id, cap=None):
    """As a worker would."""
    return change(executor, job_id, lambda job: job.claim(ENGINE, uuid4(), 1.0, datetime.now(UTC), LEASE), cap)


def change(executor, job_id, event, cap=None):
    """Apply an event without telling anybody."""
    with executor.database.transaction() as tx:
        before = store.get_job(tx, JobId(job_id), lock=True)
        job = event(before)
        Ledger(cap).save(tx, before, job, datetime.now(UTC))
    return job


def write(executor, job_id, event):
    """Apply an event and tell it, as a worker would."""
    job = change(executor, job_id, event)
    executor.publisher.status(job_to_proto(job), job.lease_epoch)
    return job


def read(executor, *job_ids):
    """The jobs as they are shown, with a view of the queue that is not older than this call."""
    executor.view._look_again_at = 0.0
    request = pb.BatchGetJobsRequest(job_ids=job_ids)
    shown = {job.id: job for job in executor.stub.BatchGetJobs(request, metadata=GENERATION, timeout=5).jobs}
    return [shown[job_id] for job_id in job_ids]


def test_a_submitted_job_waits_with_its_place(executor, register_worker):
    register_worker("sd15")
    job = submit(executor)
    assert job.state == job_pb2.JOB_STATE_PENDING
    assert job.waiting_reason == job_pb2.WAITING_REASON_QUEUED


def test_a_repeated_submit_returns_the_job_as_it_is_now(executor, register_worker):
    register_worker("sd15")
    request = a_submit()
    executor.stub.SubmitJob(request, metadata=GENERATION)
    claimed = claim(executor, request.job_id)
    again = executor.stub.SubmitJob(request, metadata=GENERATION).job
    assert again.version == claimed.version


def test_parallel_submits_make_one_job(executor, register_worker):
    register_worker("sd15")
    request, barrier = a_submit(), threading.Barrier(8)

    def call(_):
        barrier.wait()
        return executor.stub.SubmitJob(request, metadata=GENERATION).job.version

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, range(8))) == [1] * 8


@pytest.mark.parametrize(
    ("changes", "code", "expected"),
    [
        ({"model": "nope"}, grpc.StatusCode.FAILED_PRECONDITION, "MODEL_UNKNOWN"),
        ({"model": "sdxl"}, grpc.StatusCode.FAILED_PRECONDITION, "MODEL_UNAVAILABLE"),
        ({"width": 513}, grpc.StatusCode.INVALID_ARGUMENT, "PARAMETER_OUT_OF_RANGE"),
        ({"steps": 100_000}, grpc.StatusCode.INVALID_ARGUMENT, "PARAMETER_OUT_OF_RANGE"),
        ({"seed": 2**53}, grpc.StatusCode.INVALID_ARGUMENT, "PARAMETER_OUT_OF_RANGE"),
        ({"job_id": "x"}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
    ],
)
def test_a_job_that_can_never_run_is_refused(executor, register_worker, changes, code, expected):
    register_worker("sd15")
    with pytest.raises(grpc.RpcError) as caught:
        submit(executor, **changes)
    assert (caught.value.code(), reason(caught.value)) == (code, expected)


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED),
        (as_person(), grpc.StatusCode.PERMISSION_DENIED),
        (as_service("gateway", "executor"), grpc.StatusCode.PERMISSION_DENIED),
        (as_service("generation", "results"), grpc.StatusCode.UNAUTHENTICATED),
    ],
)
def test_only_generation_may_submit(executor, metadata, code):
    with pytest.raises(grpc.RpcError) as caught:
        executor.stub.SubmitJob(a_submit(), metadata=metadata)
    assert caught.value.code() is code


def test_a_model_of_a_worker_that_is_away_is_cold_and_its_jobs_say_why_they_wait(executor, register_worker):
    missing = {"sdxl": ("checkpoints/sd_xl_base_1.0.safetensors",)}
    register_worker("sd15", seen_at=datetime.now(UTC) - timedelta(minutes=1), missing=missing)
    models = {
        model.name: model for model in executor.stub.ListModels(pb.ListModelsRequest(), metadata=GENERATION).models
    }
    assert models["sd15"].availability == model_pb2.MODEL_AVAILABILITY_COLD
    assert models["sdxl"].availability == model_pb2.MODEL_AVAILABILITY_UNAVAILABLE
    assert models["sdxl"].unavailable_reason == "No GPU worker has its files: checkpoints/sd_xl_base_1.0.safetensors."
    assert submit(executor).waiting_reason == job_pb2.WAITING_REASON_NO_CAPACITY


def test_positions_follow_fair_share_and_not_arrival(executor, register_worker):
    register_worker("sd15")
    greedy, light = str(uuid4()), str(uuid4())
    first, second = (submit(executor, owner_id=greedy) for _ in range(2))
    third = submit(executor, owner_id=light)
    assert [job.position for job in read(executor, first.id, third.id, second.id)] == [1, 2, 3]


def test_a_waiting_job_is_canceled_at_once(executor, register_worker):
    register_worker("sd15")
    job = submit(executor)
    request = pb.CancelJobRequest(job_id=job.id, owner_id=job.owner_id)
    assert executor.stub.CancelJob(request, metadata=GENERATION).job.state == job_pb2.JOB_STATE_CANCELED


def test_a_cancel_that_overtakes_its_submit_leaves_a_tombstone(executor, register_worker):
    register_worker("sd15")
    request = a_submit()
    cancel = pb.CancelJobRequest(job_id=request.job_id, owner_id=request.owner_id)
    executor.stub.CancelJob(cancel, metadata=GENERATION)
    job = executor.stub.SubmitJob(request, metadata=GENERATION).job
    assert job.state == job_pb2.JOB_STATE_CANCELED


def test_submit_and_cancel_at_the_same_moment_end_canceled(executor, register_worker):
    register_worker("sd15")
    for _ in range(10):
        request, barrier = a_submit(), threading.Barrier(2)
        cancel = pb.CancelJobRequest(job_id=request.job_id, owner_id=request.owner_id)

        def call(action, message, barrier=barrier):
            barrier.wait()
            action(message, metadata=GENERATION)

        with ThreadPoolExecutor(2) as pool:
            for future in [
                pool.submit(call, executor.stub.SubmitJob, request),
                pool.submit(call, executor.stub.CancelJob, cancel),
            ]:
                future.result()
        jobs = executor.stub.BatchGetJobs(pb.BatchGetJobsRequest(job_ids=[request.job_id]), metadata=GENERATION).jobs
        assert jobs[0].state == job_pb2.JOB_STATE_CANCELED


def test_unknown_jobs_are_left_out_of_a_batch(executor, register_worker):
    register_worker("sd15")
    job = submit(executor)
    request = pb.BatchGetJobsRequest(job_ids=[job.id, str(uuid4())])
    assert [found.id for found in executor.stub.BatchGetJobs(request, metadata=GENERATION).jobs] == [job.id]


def test_a_lease_that_nobody_adopts_is_taken_back(executor, register_worker):
    register_worker("sd15")
    job = submit(executor)
    claim(executor, job.id)
    executor.expiry.look(timedelta(0), 4)
    assert executor.executor.get([JobId(job.id)])[0].attempts == 0, "the lease still holds"
    executor.expiry.look(-2 * LEASE, 4)
    expired = executor.executor.get([JobId(job.id)])[0]
    assert (expired.state, expired.attempts, expired.lease) == ("pending", 1, None)


def test_a_job_whose_model_nobody_has_known_for_an_hour_ends_with_a_reason(executor, register_worker):
    register_worker("sd15", "gone")
    job, other = submit(executor), submit(executor)
    with executor.database.transaction() as tx:
        for table, key in (("jobs", "id"), ("lanes", "job_id")):
            tx.execute(sa.text(f"UPDATE {table} SET model = 'gone' WHERE {key} = :id"), {"id": job.id})

    def states_after(passed: timedelta) -> list[str]:
        executor.clock.ahead += passed
        executor.expiry.look(LEASE, 4)
        return [str(found.state) for found in executor.executor.get([JobId(job.id), JobId(other.id)])]

    assert states_after(timedelta(minutes=50)) == ["pending", "pending"], "a worker knows it"
    register_worker("sd15")
    assert states_after(timedelta(minutes=15)) == ["pending", "pending"]
    assert sorted(states_after(STRANDED_AFTER)) == ["failed", "pending"]
    ended = next(found for found in executor.executor.get([JobId(job.id)]))
    assert ended.failure.message == "The model is not installed any more."


def test_what_is_kept_of_an_engine_goes_a_day_after_its_last_report(executor, register_worker):
    register_worker("sd15")
    with executor.database.transaction() as tx:
        store.advance_clock(tx, ENGINE, 5.0)
        store.add_sample(tx, Key(Kind.LOAD, "sd15", ENGINE), 1.0)
        store.add_sample(tx, Key(Kind.FINISH), 1.0)
    executor.clock.ahead += ENGINE_MEMORY + timedelta(hours=1)
    executor.expiry.look(LEASE, 4)
    with executor.database.transaction() as tx:
        assert list(store.load_samples(tx)) == [Key(Kind.FINISH)]
        assert tx.execute(sa.text("SELECT count(*) FROM clocks")).scalar_one() == 0


def test_a_submit_needs_one_connection_only(executor, register_worker, database_url):
    register_worker("sd15")
    with closing(Database(database_url, connections=1)) as narrow:
        learning = Learning(narrow, FOLDER)
        alone = Executor(
            database=narrow,
            folder=FOLDER,
            pools=Pools(""),
            ledger=Ledger(None),
            estimates=learning.estimates,
            publisher=executor.publisher,
            bell=Bell(celery_app("redis://127.0.0.1:1")),
            clock=lambda: datetime.now(UTC),
        )
        assert alone.submit(uuid4(), uuid4(), "sd15", a_spec()).state == "pending"


def test_watching_begins_with_the_state_and_ends_after_the_last_one(executor, register_worker):
    register_worker("sd15")
    job = submit(executor)
    events = watch(executor, job.id)
    assert next(events).snapshot.state == job_pb2.JOB_STATE_PENDING
    claim(executor, job.id)
    write(executor, job.id, lambda job: job.start(1, datetime.now(UTC)))
    executor.publisher.progress(job.id, 1, 1, 2)
    executor.publisher.progress(job.id, 1, 2, 2)
    write(executor, job.id, lambda job: job.complete(1, datetime.now(UTC)))
    rest = list(events)
    assert [event.WhichOneof("event") for event in rest] == ["status", "progress", "progress", "status"]
    assert rest[-1].status.state == job_pb2.JOB_STATE_COMPLETED
    assert all(event.cursor for event in rest)


def test_a_watcher_resumes_after_its_cursor_on_any_replica(executor, register_worker, redis_url):
    register_worker("sd15")
    job = submit(executor)
    claim(executor, job.id)
    write(executor, job.id, lambda job: job.start(1, datetime.now(UTC)))
    for step in range(1, 4):
        executor.publisher.progress(job.id, 1, step, 3)
    events = watch(executor, job.id, cursor="")
    cursor = next(events).cursor
    events.cancel()
    write(executor, job.id, lambda job: job.complete(1, datetime.now(UTC)))
    with serving(executor.database, redis_url) as replica:
        # A replica that has not read the log yet cannot place the cursor; it says so and starts afresh.
        while (first := first_event(replica, job.id, cursor)).WhichOneof("event") == "reset":
            pass
        assert first.status.state == job_pb2.JOB_STATE_COMPLETED


def test_events_of_a_worker_that_lost_its_lease_are_not_told(executor, register_worker):
    register_worker("sd15")
    job = submit(executor)
    claim(executor, job.id)
    events = watch(executor, job.id)
    next(events)
    executor.publisher.progress(job.id, 2, 1, 2)
    executor.publisher.progress(job.id, 1, 9, 9)
    executor.publisher.progress(job.id, 2, 2, 2)
    assert [next(events).progress.step for _ in range(2)] == [1, 2]


def test_a_change_whose_event_was_lost_is_still_told(executor, register_worker):
    register_worker("sd15")
    job = submit(executor)
    events = watch(executor, job.id)
    next(events)
    change(executor, job.id, lambda job: job.request_cancel(datetime.now(UTC)))
    assert [event.status.state for event in events] == [job_pb2.JOB_STATE_CANCELED]


def test_a_cursor_of_a_flushed_log_gets_a_reset_and_the_state(executor, register_worker, redis_url):
    register_worker("sd15")
    job = submit(executor)
    events = watch(executor, job.id)
    cursor = next(events).cursor
    events.cancel()
    with redis.Redis.from_url(redis_url) as client:
        client.delete(EVENTS, INCARNATION)
    claim(executor, job.id)
    write(executor, job.id, lambda job: job.start(1, datetime.now(UTC)))
    while first_event(executor, job.id).cursor.split(".")[0] == cursor.split(".")[0]:
        pass  # the server has not read the new log yet
    events = watch(executor, job.id, cursor)
    assert [next(events).WhichOneof("event") for _ in range(2)] == ["reset", "snapshot"]


def test_a_cursor_that_is_rubbish_is_refused(executor, register_worker):
    register_worker("sd15")
    job = submit(executor)
    with pytest.raises(grpc.RpcError) as caught:
        next(watch(executor, job.id, "rubbish"))
    assert reason(caught.value) == "INVALID_CURSOR"


def test_a_watcher_who_wants_places_is_told_how_far_the_log_was_read_though_nothing_happens(executor, register_worker):
    register_worker("sd15")
    quiet, busy = submit(executor), submit(executor)
    executor.publisher.progress(busy.id, 1, 1, 2)
    told = executor.stub.WatchJob(
        pb.WatchJobRequest(job_id=quiet.id, with_places=True), metadata=GENERATION, timeout=20
    )
    next(told)
    first = later = next(told)
    while placed(later.cursor) <= placed(first.cursor):
        executor.publisher.progress(busy.id, 1, 2, 2)
        later = next(told)
    told.cancel()

    assert (first.WhichOneof("event"), later.WhichOneof("event")) == (None, None)


def placed(cursor):
    return tuple(map(int, cursor.partition(".")[2].split("-")))


def test_watching_an_unknown_job_is_not_found(executor):
    with pytest.raises(grpc.RpcError) as caught:
        next(watch(executor, str(uuid4())))
    assert reason(caught.value) == "JOB_NOT_FOUND"


def test_transitions_are_told_to_followers(executor, register_worker):
    register_worker("sd15")
    followed = executor.stub.WatchTransitions(pb.WatchTransitionsRequest(), metadata=GENERATION, timeout=10)
    jobs = []

    def follow():
        jobs.extend(event.job.id for event in [next(followed)])

    follower = threading.Thread(target=follow)
    follower.start()
    while follower.is_alive():
        submit(executor)
        follower.join(0.05)
    followed.cancel()
    assert len(jobs) == 1
