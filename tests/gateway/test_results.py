from uuid import uuid4

import pytest
from grpc import StatusCode
from imagegen.results.v1 import results_service_pb2 as results

from tests.gateway.builders import NOON, NOON_TEXT, a_result, refused
from tests.gateway.neighbours import Refusal


def test_a_result_is_shown_with_a_signed_url(client, behind):
    picture = a_result(index=1)
    behind.results.answers["GetResult"] = results.GetResultResponse(result=picture)
    response = client.get(f"/api/v1/results/{picture.id}")
    image_url = f"{client.base_url}/api/v1/results/{picture.id}/image?expires=1780318800&signature=c2ln_-8"
    assert response.json() == {
        "id": picture.id,
        "task_id": picture.task_id,
        "index": 1,
        "image_url": image_url,
        "thumbnail_url": f"{image_url}&w=320&format=webp",
        "thumb_hash": "HwgKLxpwdndwd3d3eGh3eId3BwmYgI8H",
        "width": 1024,
        "height": 768,
        "size_bytes": 6,
        "sha256": "ab" * 32,
        "media_type": "image/png",
        "created_at": NOON_TEXT,
        "model": "sdxl",
        "prompt": "a lighthouse",
        "favorite": False,
        "expires_at": None,
    }


def test_a_result_says_when_it_expires(client, behind):
    picture = a_result(expire_time=NOON)
    behind.results.answers["GetResult"] = results.GetResultResponse(result=picture)
    assert client.get(f"/api/v1/results/{picture.id}").json()["expires_at"] == NOON_TEXT


def test_a_picture_from_before_there_were_thumb_hashes_has_none(client, behind):
    behind.results.answers["GetResult"] = results.GetResultResponse(result=a_result(thumb_hash=b""))
    assert client.get(f"/api/v1/results/{uuid4()}").json()["thumb_hash"] is None


def test_the_signed_url_has_the_scheme_and_host_that_the_client_used(client, behind):
    picture = a_result()
    behind.results.answers["GetResult"] = results.GetResultResponse(result=picture)
    headers = {"Host": "pictures.example.com", "X-Forwarded-Proto": "https"}
    shown = client.get(f"/api/v1/results/{picture.id}", headers=headers).json()
    assert shown["image_url"].startswith(f"https://pictures.example.com/api/v1/results/{picture.id}/image?")


def test_deleting_answers_204(client, behind):
    behind.results.answers["DeleteResult"] = results.DeleteResultResponse()
    id_ = str(uuid4())
    response = client.delete(f"/api/v1/results/{id_}")
    assert (response.status_code, response.content) == (204, b"")
    assert behind.results.last.message.result_id == id_


@pytest.mark.parametrize(("verb", "method"), [("GET", "GetResult"), ("DELETE", "DeleteResult")])
def test_somebody_elses_result_is_not_found(client, behind, verb, method):
    behind.results.answers[method] = Refusal(StatusCode.NOT_FOUND, "RESULT_NOT_FOUND")
    refused(client.request(verb, f"/api/v1/results/{uuid4()}"), 404, "result_not_found")


@pytest.mark.parametrize(("verb", "path"), [("GET", ""), ("DELETE", ""), ("GET", "/image")])
def test_an_id_that_cannot_be_one_is_not_found(client, behind, verb, path):
    refused(client.request(verb, f"/api/v1/results/nonsense{path}"), 404, "result_not_found")
