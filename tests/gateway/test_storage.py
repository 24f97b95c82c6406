"""What pictures take over REST, and what a person meets whose pictures take it all."""

import pytest
from grpc import StatusCode
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.results.v1 import storage_service_pb2 as storage

from tests.gateway.builders import a_model, refused
from tests.gateway.neighbours import Refusal

PATH = "/api/v1/results/storage"
FULL = "the pictures take 1,500,000 of the 1,000,000 bytes that one person may have"


def test_it_says_what_is_taken_and_what_is_allowed(client, behind):
    behind.results.answers["GetStorage"] = storage.GetStorageResponse(
        used_bytes=2**40, pictures=3, quota_bytes=2**41, retention_days=30
    )

    told = client.get(PATH).json()

    assert told == {"used_bytes": 2**40, "pictures": 3, "quota_bytes": 2**41, "retention_days": 30}
    assert behind.results.last.metadata["authorization"] == client.headers["authorization"]


def test_what_is_not_limited_is_null(client, behind):
    behind.results.answers["GetStorage"] = storage.GetStorageResponse()

    assert client.get(PATH).json() == {"used_bytes": 0, "pictures": 0, "quota_bytes": None, "retention_days": None}


def test_without_a_token_nothing_is_said(visitor, behind):
    behind.results.answers["GetStorage"] = Refusal(StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")

    refused(visitor.get(PATH), 401, "token_missing")


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_whose_storage_is_full_is_told_of_how_much_when_asking_for_more(client, behind, query):
    behind.generation.answers["CreateTask"] = Refusal(StatusCode.FAILED_PRECONDITION, "STORAGE_FULL", message=FULL)

    response = client.post(f"/api/v1/generation/generate{query}", json={"prompt": "a fox", "model": "sdxl"})

    assert refused(response, 409, "storage_full")["detail"] == FULL


def test_openais_sdks_are_told_the_same_and_not_to_repeat_it(client, behind):
    behind.generation.answers["ListModels"] = generation.ListModelsResponse(models=[a_model()])
    behind.generation.answers["CreateTask"] = Refusal(StatusCode.FAILED_PRECONDITION, "STORAGE_FULL", message=FULL)

    response = client.post("/v1/images/generations", json={"prompt": "a fox", "model": "sdxl"})

    assert (response.status_code, response.headers["x-should-retry"]) == (409, "false")
    assert response.json()["error"] == {
        "message": FULL,
        "type": "invalid_request_error",
        "param": None,
        "code": "storage_full",
    }
