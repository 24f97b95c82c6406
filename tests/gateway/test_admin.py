"""The operators' door over REST."""

import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode
from imagegen.executor.v1 import operator_service_pb2 as operator
from imagegen.executor.v1 import worker_pb2

from tests.gateway.builders import NOON, NOON_TEXT, refused
from tests.gateway.neighbours import Refusal

ENGINE = "01981f5e-7c1a-7d2b-9a63-3f0c8e5b4d21"
WORKER = worker_pb2.Worker(
    engine_id=ENGINE,
    state=worker_pb2.WORKER_STATE_QUARANTINED,
    problem="it fails",
    models=["sd15"],
    missing_models=[worker_pb2.MissingModel(name="sdxl", files=["checkpoints/x.safetensors"])],
    engine_version="0.33",
    device="cuda:0",
    vram_total=24,
    vram_free=12,
    job_ids=["j1"],
    report_time=NOON,
    quarantine_end_time=NOON,
)
SHOWN = {
    "engine_id": ENGINE,
    "state": "quarantined",
    "problem": "it fails",
    "models": ["sd15"],
    "missing_models": [{"name": "sdxl", "files": ["checkpoints/x.safetensors"]}],
    "loaded_model": None,
    "engine_version": "0.33",
    "device": "cuda:0",
    "vram_total": 24,
    "vram_free": 12,
    "job_ids": ["j1"],
    "reported_at": NOON_TEXT,
    "quarantined_until": NOON_TEXT,
}
OWNER = worker_pb2.Owner(id="01981f5e-7c1a-7d2b-9a63-3f0c8e5b4d22", weight=2, waiting_jobs=3, running_jobs=1)


def test_workers_are_shown(client, behind):
    behind.executor.answers["ListWorkers"] = operator.ListWorkersResponse(workers=[WORKER])
    assert client.get("/api/v1/admin/workers").json() == {"workers": [SHOWN]}
    assert behind.executor.last.metadata["authorization"] == client.headers["authorization"]


@pytest.mark.parametrize(
    ("verb", "method", "answer"),
    [("drain", "DrainWorker", operator.DrainWorkerResponse), ("resume", "ResumeWorker", operator.ResumeWorkerResponse)],
)
def test_a_worker_is_drained_and_resumed(client, behind, verb, method, answer):
    behind.executor.answers[method] = answer(worker=WORKER)
    assert client.post(f"/api/v1/admin/workers/{ENGINE}/{verb}").json() == SHOWN
    assert behind.executor.last.message.engine_id == ENGINE
    behind.executor.answers[method] = Refusal(StatusCode.NOT_FOUND, "WORKER_NOT_FOUND")
    refused(client.post(f"/api/v1/admin/workers/{ENGINE}/{verb}"), 404, "worker_not_found")
    refused(client.post(f"/api/v1/admin/workers/x/{verb}"), 404, "worker_not_found")


def test_queues_are_shown(client, behind):
    behind.executor.answers["ListQueues"] = operator.ListQueuesResponse(
        queues=[
            operator.Queue(model="sd15", waiting_jobs=2, backlog_seconds=8.5, oldest_wait=Duration(seconds=3)),
            operator.Queue(model="sdxl", running_jobs=1),
        ]
    )
    assert client.get("/api/v1/admin/queues").json()["queues"] == [
        {"model": "sd15", "waiting_jobs": 2, "running_jobs": 0, "backlog_seconds": 8.5, "oldest_wait_seconds": 3.0},
        {"model": "sdxl", "waiting_jobs": 0, "running_jobs": 1, "backlog_seconds": 0.0, "oldest_wait_seconds": None},
    ]


def test_owners_are_shown_and_weighed(client, behind):
    shown = {"id": OWNER.id, "weight": 2.0, "running_cap": None, "waiting_jobs": 3, "running_jobs": 1}
    behind.executor.answers["ListOwners"] = operator.ListOwnersResponse(owners=[OWNER])
    assert client.get("/api/v1/admin/owners?limit=5").json() == {"owners": [shown]}
    assert behind.executor.last.message.page_size == 5
    behind.executor.answers["UpdateOwner"] = operator.UpdateOwnerResponse(owner=OWNER)
    assert client.patch(f"/api/v1/admin/owners/{OWNER.id}", json={"weight": 2}).json() == shown
    assert behind.executor.last.message == operator.UpdateOwnerRequest(owner_id=OWNER.id, weight=2)


@pytest.mark.parametrize(
    ("path", "body", "refusal"),
    [
        (f"/api/v1/admin/owners/{OWNER.id}", {"weight": "2"}, (422, "invalid_field")),
        (f"/api/v1/admin/owners/{OWNER.id}", {"wait": 2}, (422, "invalid_field")),
        ("/api/v1/admin/owners/x", {"weight": 2}, (404, "user_not_found")),
    ],
)
def test_bad_changes_are_refused_before_the_executor_is_asked(client, behind, path, body, refusal):
    refused(client.patch(path, json=body), *refusal)
    assert behind.executor.asked == []


def test_who_is_no_operator_is_told_so(client, behind):
    behind.executor.answers["ListWorkers"] = Refusal(StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    refused(client.get("/api/v1/admin/workers"), 403, "caller_not_allowed")
