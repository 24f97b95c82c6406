"""What a job would cost and when it would end, asked before it is submitted."""

import time
from datetime import UTC, datetime
from uuid import uuid4

import grpc
import pytest
import sqlalchemy as sa
from imagegen.executor.v1 import executor_service_pb2 as pb

from services.executor import store
from services.executor.erasing import Eraser
from services.executor.scheduling.estimates import ENOUGH
from services.executor.scheduling.learning import Learning
from services.executor.store import metadata
from tests.executor.builders import ENGINE
from tests.executor.conftest import FOLDER, serving
from tests.executor.test_operators import update_owner
from tests.executor.test_queue_view import seconds_left
from tests.executor.test_server import GENERATION, a_submit, change, claim, read, submit
from tests.grpc_errors import reason


def estimate(executor, **changes):
    asked = a_submit(**changes)
    request = pb.EstimateJobRequest(owner_id=asked.owner_id, model=asked.model, spec=asked.spec)
    return executor.stub.EstimateJob(request, metadata=GENERATION, timeout=5)


def estimate_now(executor, **changes):
    """With a view of the queue that is not older than this call."""
    executor.view._look_again_at = 0.0
    return estimate(executor, **changes)


def assert_foretold(executor, **changes):
    """What is estimated of a job is what it shows once it has been submitted."""
    estimated = estimate_now(executor, **changes)
    [job] = read(executor, submit(executor, **changes).id)
    for told, shown in ((estimated.p50_time, job.eta.p50_time), (estimated.p90_time, job.eta.p90_time)):
        assert seconds_left(told) == pytest.approx(seconds_left(shown), abs=0.5)
    return seconds_left(estimated.p50_time)


def refused(executor, **changes):
    with pytest.raises(grpc.RpcError) as caught:
        estimate(executor, **changes)
    return caught.value.code(), reason(caught.value)


@pytest.mark.parametrize(
    ("changes", "code", "expected"),
    [
        ({"model": "nope"}, grpc.StatusCode.FAILED_PRECONDITION, "MODEL_UNKNOWN"),
        ({"model": "sdxl"}, grpc.StatusCode.FAILED_PRECONDITION, "MODEL_UNAVAILABLE"),
        ({"width": 513}, grpc.StatusCode.INVALID_ARGUMENT, "PARAMETER_OUT_OF_RANGE"),
        ({"steps": 100_000}, grpc.StatusCode.INVALID_ARGUMENT, "PARAMETER_OUT_OF_RANGE"),
        ({"owner_id": "x"}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
    ],
)
def test_what_would_be_refused_is_refused_now(executor, register_worker, changes, code, expected):
    register_worker("sd15")
    assert refused(executor, **changes) == (code, expected)


def test_nothing_is_estimated_for_an_erased_owner(executor, register_worker):
    register_worker("sd15")
    owner = uuid4()
    assert Eraser(executor.database, executor.executor.cancel, executor.clock).erase(owner)
    assert refused(executor, owner_id=str(owner)) == (grpc.StatusCode.FAILED_PRECONDITION, "OWNER_ERASED")


def test_the_cost_is_what_the_owner_would_be_charged(executor, register_worker, database):
    register_worker("sd15")
    work = 512.0 * 512 * 20
    key, ratio = Learning(database, FOLDER).estimates().run_sample("sd15", ENGINE, work, 6.0)
    for _ in range(ENOUGH):
        with database.transaction() as tx:
            store.add_sample(tx, key, ratio)
    assert estimate(executor).gpu_seconds == pytest.approx(6.0)
    assert estimate(executor, count=2).gpu_seconds == pytest.approx(12.0)


def test_an_empty_queue_is_foretold(executor, register_worker):
    register_worker("sd15", loaded_model="sd15")
    assert_foretold(executor)


def test_a_load_of_the_model_is_foretold(executor, register_worker):
    register_worker("sd15", "sdxl", loaded_model="sdxl")
    assert assert_foretold(executor) > FOLDER.models["sd15"].load_seconds


def test_what_waits_of_the_owner_comes_before(executor, register_worker):
    register_worker("sd15", "sdxl", loaded_model="sd15")
    owner = str(uuid4())
    running = submit(executor, owner_id=owner)
    claim(executor, running.id)
    change(executor, running.id, lambda job: job.start(1, datetime.now(UTC)))
    for _ in range(3):
        assert_foretold(executor, owner_id=owner)
    assert_foretold(executor, owner_id=owner, model="sdxl")


def test_a_greedy_owner_does_not_make_others_wait(executor, register_worker):
    register_worker("sd15", loaded_model="sd15")
    greedy = str(uuid4())
    for _ in range(10):
        submit(executor, owner_id=greedy)
    assert assert_foretold(executor) < assert_foretold(executor, owner_id=greedy) / 4


def test_a_heavier_owner_is_nearer_to_the_end_of_the_wait(executor, register_worker):
    register_worker("sd15", loaded_model="sd15")
    for owner in (heavy := str(uuid4()), light := str(uuid4())):
        for _ in range(6):
            submit(executor, owner_id=owner)
    update_owner(executor, heavy, weight=4)
    assert_foretold(executor, owner_id=heavy)
    assert (
        estimate(executor, owner_id=heavy).p50_time.ToNanoseconds()
        < estimate(executor, owner_id=light).p50_time.ToNanoseconds()
    )


def test_no_time_is_told_that_no_worker_can_keep(database, redis_url):
    with serving(database, redis_url, pools="sd15") as executor:
        cold = estimate_now(executor)
    assert cold.gpu_seconds > 0
    assert not cold.HasField("p50_time")
    assert not cold.HasField("p90_time")


def test_no_time_is_told_of_what_the_owners_cap_would_hold_back(database, redis_url, register_worker):
    register_worker("sd15")
    with serving(database, redis_url, running_cap=1) as executor:
        owner = str(uuid4())
        assert estimate_now(executor, owner_id=owner).HasField("p50_time")
        claim(executor, submit(executor, owner_id=owner).id, cap=1)
        capped = estimate_now(executor, owner_id=owner)
        assert estimate_now(executor).HasField("p50_time"), "others are not held back"
    assert capped.gpu_seconds > 0
    assert not capped.HasField("p50_time")


def test_an_estimate_writes_nothing(executor, register_worker):
    register_worker("sd15")
    read(executor, submit(executor).id)

    def everything():
        with executor.database.transaction() as tx:
            return {name: tx.execute(sa.select(table)).all() for name, table in metadata.tables.items()}

    before = everything()
    estimate_now(executor)
    assert everything() == before


def test_an_estimate_takes_no_look_of_its_own(executor, register_worker):
    register_worker("sd15", loaded_model="sd15")
    read(executor, submit(executor).id)
    executor.view._look_again_at = time.monotonic() + 1000
    before = estimate(executor)
    for _ in range(5):
        submit(executor)
    again = estimate(executor)
    assert (again.p50_time, again.p90_time) == (before.p50_time, before.p90_time)
