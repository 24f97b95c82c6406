"""ETag and 304: what a client has is not sent again."""

import httpx
import pytest
from grpc import StatusCode
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.results.v1 import results_service_pb2 as results

from tests.gateway.builders import a_model, a_result, a_task, a_user, refused
from tests.gateway.conftest import AUTHORIZATION
from tests.gateway.gateways import serving
from tests.gateway.neighbours import Refusal

TASK = a_task(id="01981f5e-7c1a-7d2b-9a63-3f0c8e5b4d21")
PICTURE = a_result(id="01981f5e-7c1a-7d2b-9a63-3f0c8e5b4d22")
USER = a_user()

READS = {
    "/api/v1/auth/me": ("auth", "GetMe", auth.GetMeResponse(user=USER)),
    "/api/v1/generation/history": ("generation", "ListTasks", generation.ListTasksResponse(tasks=[TASK])),
    "/api/v1/generation/suggestions": ("generation", "SuggestPrompts", generation.SuggestPromptsResponse()),
    f"/api/v1/generation/tasks/{TASK.id}": ("generation", "GetTask", generation.GetTaskResponse(task=TASK)),
    "/api/v1/models": ("generation", "ListModels", generation.ListModelsResponse(models=[a_model()])),
    f"/api/v1/results/{PICTURE.id}": ("results", "GetResult", results.GetResultResponse(result=PICTURE)),
}


@pytest.fixture
def readable(behind):
    for service, method, answer in READS.values():
        getattr(behind, service).answers[method] = answer


@pytest.mark.parametrize("path", READS)
def test_what_a_client_has_is_not_sent_again(client, readable, path):
    first = client.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    etag = first.headers["etag"]
    assert etag.startswith('"')
    again = client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    assert again.headers["cache-control"] == "private, no-cache"
    assert again.headers.get("vary") == first.headers.get("vary")
    assert "content-type" not in again.headers
    assert "x-request-id" in again.headers


def test_another_replica_gives_the_same_tag(client, readable, served):
    with serving(served[1]) as other:
        etag = httpx.get(f"{other.origin}/api/v1/auth/me", headers=AUTHORIZATION).headers["etag"]
    assert client.get("/api/v1/auth/me").headers["etag"] == etag


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', '"a, b",W/{}', "*"])
def test_the_tag_may_be_weak_one_of_many_or_any(client, readable, known):
    etag = client.get("/api/v1/auth/me").headers["etag"]
    response = client.get("/api/v1/auth/me", headers={"If-None-Match": known.format(etag)})
    assert response.status_code == 304


def test_the_tag_may_come_in_a_header_of_its_own(client, readable):
    etag = client.get("/api/v1/auth/me").headers["etag"]
    headers = [("If-None-Match", '"other"'), ("If-None-Match", etag)]
    assert client.get("/api/v1/auth/me", headers=headers).status_code == 304


@pytest.mark.parametrize("known", ['"other"', "other", "", '"', "W/", '"*"'])
def test_another_tag_does_not_match(client, readable, known):
    response = client.get("/api/v1/auth/me", headers={"If-None-Match": known})
    assert (response.status_code, response.json()["id"]) == (200, USER.id)


def test_a_change_gives_another_tag(client, behind, readable):
    etag = client.get("/api/v1/auth/me").headers["etag"]
    behind.auth.answers["GetMe"] = auth.GetMeResponse(user=a_user(id=USER.id, username="mei"))
    response = client.get("/api/v1/auth/me", headers={"If-None-Match": etag})
    assert (response.status_code, response.json()["username"]) == (200, "mei")


def test_each_language_has_a_tag_of_its_own(client, readable):
    chinese, english = (client.get("/api/v1/models", headers={"Accept-Language": tag}) for tag in ("zh", "en"))
    assert chinese.headers["etag"] != english.headers["etag"]
    assert chinese.headers["vary"] == "Accept-Language"


def test_a_problem_has_no_tag_and_is_never_kept(client, behind):
    behind.auth.answers["GetMe"] = Refusal(StatusCode.UNAVAILABLE)
    response = client.get("/api/v1/auth/me", headers={"If-None-Match": "*"})
    refused(response, 503, "unavailable")
    assert "etag" not in response.headers
    assert response.headers["cache-control"] == "no-store"


def test_what_is_no_read_has_no_tag(client, behind):
    behind.auth.answers["UpdateMe"] = auth.UpdateMeResponse(user=USER)
    response = client.patch("/api/v1/auth/me", json={}, headers={"If-None-Match": "*"})
    assert response.status_code == 200
    assert "etag" not in response.headers
    assert response.headers["cache-control"] == "no-store"
