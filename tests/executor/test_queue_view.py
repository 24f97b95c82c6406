"""What people see of the queue: place, reason, and when it will be done."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from imagegen.executor.v1 import job_pb2

from services.executor import store
from services.executor.domain import EngineId, JobId
from services.executor.scheduling.estimates import KEPT, Key, Kind
from services.executor.scheduling.learning import Learning
from tests.executor.builders import ENGINE
from tests.executor.conftest import FOLDER, serving
from tests.executor.test_server import change, claim, read, submit

OTHER_ENGINE = EngineId(uuid4())


def seconds_left(moment) -> float:
    return (moment.ToDatetime(UTC) - datetime.now(UTC)).total_seconds()


def test_a_waiting_job_says_when_it_will_probably_have_ended(executor, register_worker):
    register_worker("sd15", loaded_model="sd15")
    first, second = read(executor, submit(executor).id, submit(executor).id)
    # The manifest's hint for 512×512 in 20 steps is two seconds.
    assert 0 < seconds_left(first.eta.p50_time) < seconds_left(first.eta.p90_time)
    assert seconds_left(second.eta.p50_time) == pytest.approx(2 * seconds_left(first.eta.p50_time), abs=0.5)


def test_a_model_that_must_be_loaded_takes_longer(executor, register_worker):
    register_worker("sd15", "sdxl", loaded_model="sdxl")
    [loaded] = read(executor, submit(executor, model="sdxl", width=1024, height=1024, steps=20).id)
    [other] = read(executor, submit(executor).id)
    hints = FOLDER.models
    between = seconds_left(other.eta.p50_time) - seconds_left(loaded.eta.p50_time)
    assert between == pytest.approx(hints["sd15"].load_seconds + hints["sd15"].cost_seconds, abs=1)


def test_nobody_is_told_a_time_that_no_worker_can_keep(executor, register_worker):
    register_worker("sd15", seen_at=datetime.now(UTC) - timedelta(minutes=1))
    [job] = read(executor, submit(executor).id)
    assert not job.HasField("eta")
    assert job.position == 0


def test_a_place_counts_only_jobs_that_the_same_workers_could_begin_before(executor, register_worker):
    register_worker("sd15", "sdxl-turbo")
    register_worker("sdxl", engine_id=OTHER_ENGINE)
    elsewhere = [submit(executor, model="sdxl") for _ in range(3)]
    neighbour = submit(executor, model="sdxl-turbo", steps=2, cfg=1.0)
    mine = submit(executor)
    assert [job.position for job in read(executor, *(job.id for job in elsewhere))] == [1, 2, 3]
    assert {job.position for job in read(executor, neighbour.id, mine.id)} == {1, 2}


def test_a_place_counts_no_job_that_nobody_can_run(executor, register_worker):
    register_worker("sd15", "sdxl")
    stranded = submit(executor, model="sdxl")
    register_worker("sd15")
    assert read(executor, stranded.id, submit(executor).id)[1].position == 1
    assert read(executor, stranded.id)[0].position == 0


def test_what_its_owners_cap_holds_back_says_so_and_has_no_place(database, redis_url, register_worker):
    register_worker("sd15")
    with serving(database, redis_url, running_cap=1) as executor:
        owner = str(uuid4())
        held, waiting = (submit(executor, owner_id=owner) for _ in range(2))
        claim(executor, held.id, cap=1)
        [job] = read(executor, waiting.id)
    assert (job.waiting_reason, job.position) == (job_pb2.WAITING_REASON_USER_CAP, 0)


def test_a_declared_pool_makes_a_model_cold_and_its_jobs_wait_for_it(database, redis_url):
    with serving(database, redis_url, pools="sd15") as executor:
        assert submit(executor).waiting_reason == job_pb2.WAITING_REASON_COLD


def test_whoever_waits_for_a_model_to_load_is_told_before_and_after_the_engine_began(executor, register_worker):
    register_worker("sd15", is_loading=True)
    job = submit(executor)
    claim(executor, job.id)
    assert read(executor, job.id)[0].waiting_reason == job_pb2.WAITING_REASON_MODEL_LOADING
    change(executor, job.id, lambda job: job.start(1, datetime.now(UTC)))
    assert read(executor, job.id)[0].waiting_reason == job_pb2.WAITING_REASON_MODEL_LOADING
    register_worker("sd15", loaded_model="sd15")
    [painting] = read(executor, job.id)
    assert painting.waiting_reason == job_pb2.WAITING_REASON_UNSPECIFIED
    assert seconds_left(painting.eta.p50_time) > 0


def test_the_first_forecast_is_kept_so_that_its_end_can_teach(executor, register_worker):
    register_worker("sd15")
    job = submit(executor)
    read(executor, job.id)
    with executor.database.transaction() as tx:
        first = store.get_promise(tx, JobId(job.id))
    read(executor, job.id)
    with executor.database.transaction() as tx:
        assert store.get_promise(tx, JobId(job.id)) == first
    assert (first.position, first.seconds > 0) == (1, True)


def test_what_runs_took_is_what_is_expected_of_the_next(database):
    model, work = "sd15", 512.0 * 512 * 20
    for _ in range(4):
        key, ratio = Learning(database, FOLDER).estimates().run_sample(model, ENGINE, work, 6.0)
        with database.transaction() as tx:
            store.add_sample(tx, key, ratio)
    assert Learning(database, FOLDER).estimates().run(model, ENGINE, work).p50 == pytest.approx(6.0)
    assert Learning(database, FOLDER).estimates().run(model, OTHER_ENGINE, 2 * work).p50 == pytest.approx(12.0)


@pytest.mark.parametrize("key", [Key(Kind.RUN, "sd15", ENGINE, 12), Key(Kind.FINISH, size=3)])
def test_only_the_newest_samples_are_kept(database, key):
    for value in range(KEPT + 5):
        with database.transaction() as tx:
            store.add_sample(tx, key, float(value))
    with database.transaction() as tx:
        assert store.load_samples(tx) == {key: [float(value) for value in range(5, KEPT + 5)]}
