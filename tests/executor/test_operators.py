"""OperatorService and its command line, over real gRPC and PostgreSQL."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import pytest
from imagegen.executor.v1 import executor_service_pb2 as executor_pb
from imagegen.executor.v1 import job_pb2, worker_pb2
from imagegen.executor.v1 import operator_service_pb2 as pb

from services.executor import store
from services.executor.__main__ import main
from services.executor.domain import EngineId, OwnerId
from tests.executor.builders import ENGINE
from tests.executor.conftest import FOLDER, serving
from tests.executor.test_server import GENERATION, a_submit, change, claim, read, submit
from tests.grpc_errors import reason
from tests.identities import TestAuthority, access_token, as_person, as_service, seed

OPERATOR = as_service("operator", "executor")


def workers(executor):
    return executor.operators.ListWorkers(pb.ListWorkersRequest(), metadata=OPERATOR, timeout=5).workers


def drain(executor, engine_id=ENGINE):
    request = pb.DrainWorkerRequest(engine_id=str(engine_id))
    return executor.operators.DrainWorker(request, metadata=OPERATOR, timeout=5).worker


def resume(executor, engine_id=ENGINE):
    request = pb.ResumeWorkerRequest(engine_id=str(engine_id))
    return executor.operators.ResumeWorker(request, metadata=OPERATOR, timeout=5).worker


def update_owner(executor, owner_id, **changes):
    request = pb.UpdateOwnerRequest(owner_id=str(owner_id), **changes)
    return executor.operators.UpdateOwner(request, metadata=OPERATOR, timeout=5).owner


METHODS = pb.DESCRIPTOR.services_by_name["OperatorService"].methods_by_name
REQUESTS = {
    "ListWorkers": pb.ListWorkersRequest(),
    "DrainWorker": pb.DrainWorkerRequest(engine_id=str(ENGINE)),
    "ResumeWorker": pb.ResumeWorkerRequest(engine_id=str(ENGINE)),
    "ListQueues": pb.ListQueuesRequest(),
    "ListOwners": pb.ListOwnersRequest(),
    "UpdateOwner": pb.UpdateOwnerRequest(owner_id=str(uuid4()), weight=2),
}
SESSION, REVOKED, ADMIN_KEY, READ_KEY, USERS_KEY = uuid4(), uuid4(), "igk_admin", "igk_read", "igk_users"


@pytest.fixture
def executor_with_people(database, redis_url, register_worker):
    """Knows an operator's keys with two scopes and a user's with all, and that one session has been ended."""
    register_worker("sd15")
    authority = TestAuthority()
    authority.revocations.add({REVOKED: datetime.now(UTC) + timedelta(hours=1)})
    authority.keys = {
        ADMIN_KEY: access_token(role="operator", scope="read admin"),
        READ_KEY: access_token(role="operator", scope="read"),
        USERS_KEY: access_token(scope="generate read share admin"),
    }
    with serving(database, redis_url, authority=authority) as running:
        yield running


def call(executor, method, metadata):
    return getattr(executor.operators, method)(REQUESTS[method], metadata=metadata, timeout=5)


def with_key(api_key):
    return (("authorization", f"Bearer {api_key}"),)


def test_every_call_of_this_door_is_tried():
    assert set(REQUESTS) == set(METHODS)


@pytest.mark.parametrize(
    "metadata",
    [OPERATOR, as_person(role="operator", sid=SESSION), with_key(ADMIN_KEY)],
    ids=["service", "session", "API key"],
)
def test_an_operator_has_this_door(executor_with_people, metadata):
    for method in REQUESTS:
        call(executor_with_people, method, metadata)


@pytest.mark.parametrize(
    ("metadata", "code", "expected"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING"),
        (as_person(role="operator", expires_in=-60), grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED"),
        (as_person(role="operator", sid=REVOKED), grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED"),
        (as_person(role="operator", audience="elsewhere"), grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"),
        (with_key("igk_unknown"), grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"),
        (with_key(READ_KEY), grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING"),
        (with_key(USERS_KEY), grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED"),
        (as_person(), grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED"),
        (as_service("generation", "executor"), grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED"),
    ],
    ids=[
        "anonymous",
        "expired",
        "revoked",
        "wrong audience",
        "unknown key",
        "key without the scope",
        "key of a user",
        "user",
        "service",
    ],
)
def test_nobody_else_has_this_door(executor_with_people, metadata, code, expected):
    for method in REQUESTS:
        with pytest.raises(grpc.RpcError) as caught:
            call(executor_with_people, method, metadata)
        assert (caught.value.code(), reason(caught.value)) == (code, expected)


def test_a_worker_is_shown_as_it_reported_itself(executor, register_worker):
    register_worker(
        "sd15",
        missing={"sdxl": ("checkpoints/sd_xl_base_1.0.safetensors",)},
        loaded_model="sd15",
        engine_version="0.33.0",
        device="cuda:0 NVIDIA L4",
        vram_total=24 * 2**30,
        vram_free=20 * 2**30,
    )
    job = submit(executor)
    claim(executor, job.id)
    [worker] = workers(executor)
    assert worker.engine_id == str(ENGINE)
    assert worker.state == worker_pb2.WORKER_STATE_BUSY
    assert (worker.models, worker.loaded_model, worker.job_ids) == (["sd15"], "sd15", [job.id])
    assert worker.missing_models[0].files == ["checkpoints/sd_xl_base_1.0.safetensors"]
    assert (worker.engine_version, worker.vram_total, worker.vram_free) == ("0.33.0", 24 * 2**30, 20 * 2**30)


@pytest.mark.parametrize(
    ("reported", "state"),
    [
        ({}, worker_pb2.WORKER_STATE_IDLE),
        ({"is_well": False, "problem": "ComfyUI is too old."}, worker_pb2.WORKER_STATE_UNWELL),
        ({"quarantined_until": datetime(2200, 1, 1, tzinfo=UTC)}, worker_pb2.WORKER_STATE_QUARANTINED),
        ({"seen_at": datetime.now(UTC) - timedelta(minutes=2)}, worker_pb2.WORKER_STATE_AWAY),
    ],
)
def test_a_worker_that_takes_nothing_says_why(executor, register_worker, reported, state):
    register_worker("sd15", **reported)
    [worker] = workers(executor)
    assert (worker.state, worker.problem) == (state, reported.get("problem", ""))


def test_a_worker_that_was_away_for_an_hour_is_forgotten(executor, register_worker):
    register_worker("sd15", seen_at=datetime.now(UTC) - timedelta(minutes=61))
    assert not workers(executor)
    with pytest.raises(grpc.RpcError) as caught:
        submit(executor)
    assert reason(caught.value) == "MODEL_UNAVAILABLE"


def test_a_drained_worker_finishes_and_its_model_is_paused_until_it_is_resumed(executor, register_worker):
    register_worker("sd15")
    held, waiting = submit(executor), submit(executor)
    claim(executor, held.id)
    assert drain(executor).state == worker_pb2.WORKER_STATE_DRAINING
    assert read(executor, waiting.id)[0].waiting_reason == job_pb2.WAITING_REASON_PAUSED
    assert read(executor, waiting.id)[0].position == 0
    register_worker("sd15")
    assert workers(executor)[0].state == worker_pb2.WORKER_STATE_DRAINING, "a report changes no order"
    assert submit(executor).waiting_reason == job_pb2.WAITING_REASON_PAUSED, "what is paused is accepted"
    assert resume(executor).state == worker_pb2.WORKER_STATE_BUSY
    assert read(executor, waiting.id)[0].waiting_reason == job_pb2.WAITING_REASON_QUEUED


def test_resuming_ends_a_quarantine(executor, register_worker):
    register_worker("sd15", quarantined_until=datetime(2200, 1, 1, tzinfo=UTC))
    assert resume(executor).state == worker_pb2.WORKER_STATE_IDLE


def test_a_worker_that_nobody_knows_cannot_be_drained(executor):
    for order in (drain, resume):
        with pytest.raises(grpc.RpcError) as caught:
            order(executor, uuid4())
        assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.NOT_FOUND, "WORKER_NOT_FOUND")


def test_owners_are_listed_and_what_is_set_of_them_counts_at_once(executor, register_worker):
    register_worker("sd15")
    busy = str(uuid4())
    jobs = [submit(executor, owner_id=busy) for _ in range(3)]
    submit(executor)
    claim(executor, jobs[0].id)
    listed = executor.operators.ListOwners(pb.ListOwnersRequest(), metadata=OPERATOR, timeout=5).owners
    assert [(owner.waiting_jobs, owner.running_jobs, owner.weight) for owner in listed] == [(2, 1, 1.0), (1, 0, 1.0)]
    owner = update_owner(executor, busy, weight=2.5, running_cap=1)
    assert (owner.weight, owner.running_cap, owner.waiting_jobs) == (2.5, 1, 2)
    assert {job.waiting_reason for job in read(executor, *(job.id for job in jobs[1:]))} == {
        job_pb2.WAITING_REASON_USER_CAP
    }
    assert update_owner(executor, busy, running_cap=0).weight == 2.5
    assert read(executor, jobs[1].id)[0].waiting_reason == job_pb2.WAITING_REASON_QUEUED


def test_an_owner_can_be_weighed_before_the_first_job(executor, register_worker):
    owner_id = OwnerId(uuid4())
    update_owner(executor, owner_id, weight=3)
    with executor.database.transaction() as tx:
        assert store.lock_account(tx, owner_id).weight == 3


def queues(executor):
    return executor.operators.ListQueues(pb.ListQueuesRequest(), metadata=OPERATOR, timeout=5).queues


def test_queues_tell_of_each_model_what_waits_and_what_is_painted(executor, register_worker):
    register_worker("sd15", "sdxl")
    assert not queues(executor)
    submit(executor, model="sdxl", width=1024, height=1024, steps=25)
    held, done, canceled, *_ = [submit(executor) for _ in range(5)]
    for job in (held, done):
        claim(executor, job.id)
    change(executor, done.id, lambda job: job.complete(1, datetime.now(UTC)))
    cancel = executor_pb.CancelJobRequest(job_id=canceled.id, owner_id=canceled.owner_id)
    executor.stub.CancelJob(cancel, metadata=GENERATION, timeout=5)
    executor.clock.ahead += timedelta(minutes=10)
    sd15, sdxl = queues(executor)
    assert [(queue.model, queue.waiting_jobs, queue.running_jobs) for queue in (sd15, sdxl)] == [
        ("sd15", 2, 1),
        ("sdxl", 1, 0),
    ]
    hints = FOLDER.models
    assert sd15.backlog_seconds == pytest.approx(2 * hints["sd15"].cost_seconds)
    assert sdxl.backlog_seconds == pytest.approx(hints["sdxl"].cost_seconds)
    assert 600 <= sd15.oldest_wait.ToSeconds() < 660


def test_a_queue_in_which_nothing_waits_has_no_oldest_job(executor, register_worker):
    register_worker("sd15")
    claim(executor, submit(executor).id)
    [queue] = queues(executor)
    assert (queue.waiting_jobs, queue.running_jobs, queue.backlog_seconds) == (0, 1, 0)
    assert not queue.HasField("oldest_wait")


@pytest.mark.parametrize("changes", [{"weight": 0}, {"weight": float("nan")}, {"weight": 1e9}, {"running_cap": -1}])
def test_a_share_that_makes_no_sense_is_refused(executor, changes):
    with pytest.raises(grpc.RpcError) as caught:
        update_owner(executor, uuid4(), **changes)
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")


@pytest.fixture
def command(executor, monkeypatch, capsys):
    monkeypatch.setenv("EXECUTOR_ADDRESS", executor.address)
    monkeypatch.setenv("SERVICE_KEY_OPERATOR", seed("operator"))

    def run(*arguments):
        code = main(arguments)
        return code, capsys.readouterr().out

    return run


def test_the_command_line_lists_drains_and_resumes(executor, register_worker, command):
    register_worker("sd15", missing={"sdxl": ("checkpoints/x.safetensors",)}, engine_version="0.33.0", device="L4")
    code, text = command("workers", "list")
    assert code == 0
    assert str(ENGINE) in text
    assert "idle" in text
    assert "sdxl lacks checkpoints/x.safetensors" in text
    assert command("workers", "drain", str(ENGINE)[:8])[1].endswith(f"{ENGINE} is drained.\n")
    assert command("workers", "resume", str(ENGINE))[1].endswith(f"{ENGINE} is idle.\n")


def test_the_command_line_lists_queues(executor, register_worker, command):
    register_worker("sd15")
    assert command("queues", "list")[1].endswith("Nothing waits, and nothing is painted.\n")
    submit(executor)
    code, text = command("queues", "list")
    assert code == 0
    assert text.splitlines()[-1].split() == ["sd15", "1", "0", "2", "s", "0", "s"]


def test_the_command_line_shows_and_sets_owners(executor, register_worker, command):
    register_worker("sd15")
    job = executor.stub.SubmitJob(a_submit(), metadata=GENERATION).job
    assert job.owner_id in command("owners", "list")[1]
    assert command("owners", "set", job.owner_id, "--weight", "2", "--cap", "4")[1].split()[-2:] == ["2", "4"]


def test_the_command_line_says_in_a_sentence_what_is_wrong(executor, command, monkeypatch):
    with pytest.raises(SystemExit, match="No workers have an engine id that begins with 'abc'"):
        command("workers", "drain", "abc")
    monkeypatch.setenv("EXECUTOR_ADDRESS", "127.0.0.1:1")
    with pytest.raises(SystemExit, match=r"The executor at 127\.0\.0\.1:1 says UNAVAILABLE"):
        command("workers", "list")
    monkeypatch.delenv("SERVICE_KEY_OPERATOR")
    with pytest.raises(SystemExit, match="SERVICE_KEY_OPERATOR is not set"):
        command("workers", "list")


def test_two_workers_are_told_apart(executor, register_worker):
    register_worker("sd15")
    register_worker("sdxl", engine_id=EngineId(uuid4()))
    assert len(workers(executor)) == 2
    assert executor.stub.ListModels(executor_pb.ListModelsRequest(), metadata=GENERATION).models
