import threading
from uuid import uuid4

import httpx
import pytest
from grpc import StatusCode
from imagegen.results.v1 import result_pb2
from imagegen.results.v1 import results_service_pb2 as results

from tests.gateway.builders import NOON_TEXT, a_result, refused
from tests.gateway.neighbours import Refusal

Part = results.DownloadResultResponse


def download(picture: result_pb2.Result, *chunks: bytes) -> list[Part]:
    return [Part(result=picture), *(Part(chunk=chunk) for chunk in chunks)]


def image_of(picture: result_pb2.Result) -> str:
    return f"/api/v1/results/{picture.id}/image"


def test_a_result_is_shown_with_a_signed_url(client, behind):
    picture = a_result(index=1)
    behind.results.answers["GetResult"] = results.GetResultResponse(result=picture)
    response = client.get(f"/api/v1/results/{picture.id}")
    assert response.json() == {
        "id": picture.id,
        "task_id": picture.task_id,
        "index": 1,
        "image_url": f"{client.base_url}{image_of(picture)}?expires=1780318800&signature=c2ln_-8",
        "width": 1024,
        "height": 768,
        "size_bytes": 6,
        "sha256": "ab" * 32,
        "media_type": "image/png",
        "created_at": NOON_TEXT,
        "model": "sdxl",
        "prompt": "a lighthouse",
        "favorite": False,
    }


def test_the_signed_url_has_the_scheme_and_host_that_the_client_used(client, behind):
    picture = a_result()
    behind.results.answers["GetResult"] = results.GetResultResponse(result=picture)
    headers = {"Host": "pictures.example.com", "X-Forwarded-Proto": "https"}
    shown = client.get(f"/api/v1/results/{picture.id}", headers=headers).json()
    assert shown["image_url"].startswith(f"https://pictures.example.com{image_of(picture)}?")


def test_the_signed_url_opens_the_picture_without_a_token(visitor, behind):
    picture = a_result()
    behind.results.answers["GetResult"] = results.GetResultResponse(result=picture)
    behind.results.answers["DownloadResult"] = download(picture, b"abc", b"def")
    url = visitor.get(f"/api/v1/results/{picture.id}").json()["image_url"]
    response = visitor.get(url)
    assert response.content == b"abcdef"
    assert behind.results.last.message == results.DownloadResultRequest(result_id=picture.id, link=picture.image_link)
    assert "authorization" not in behind.results.last.metadata


def test_the_owners_token_opens_the_picture(client, behind):
    picture = a_result()
    behind.results.answers["DownloadResult"] = download(picture, b"abc", b"def")
    response = client.get(image_of(picture))
    assert (response.status_code, response.content) == (200, b"abcdef")
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-length"] == "6"
    assert response.headers["etag"] == f'"{picture.sha256}"'
    assert response.headers["cache-control"] == "private, max-age=86400, immutable"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert not behind.results.last.message.HasField("link")
    assert behind.results.last.metadata["authorization"] == client.headers["authorization"]


@pytest.mark.parametrize("known", ['"{}"', 'W/"{}"', '"other", "{}"', "*"])
def test_a_picture_that_the_client_has_is_not_sent_again(client, behind, known):
    picture = a_result()
    behind.results.answers["DownloadResult"] = download(picture, b"abcdef")
    response = client.get(image_of(picture), headers={"If-None-Match": known.format(picture.sha256)})
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == f'"{picture.sha256}"'


def test_another_pictures_etag_does_not_match(client, behind):
    picture = a_result()
    behind.results.answers["DownloadResult"] = download(picture, b"abcdef")
    assert client.get(image_of(picture), headers={"If-None-Match": '"cd"'}).status_code == 200


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (StatusCode.NOT_FOUND, "RESULT_NOT_FOUND", 404),
        (StatusCode.PERMISSION_DENIED, "LINK_INVALID", 403),
        (StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", 401),
        (StatusCode.DATA_LOSS, "PICTURE_LOST", 410),
    ],
)
def test_a_picture_that_may_not_be_opened_is_a_problem(visitor, behind, code, reason, status):
    behind.results.answers["DownloadResult"] = Refusal(code, reason)
    refused(visitor.get(image_of(a_result())), status, reason.lower())


def test_half_a_link_is_still_a_link(visitor, behind):
    behind.results.answers["DownloadResult"] = Refusal(StatusCode.PERMISSION_DENIED, "LINK_INVALID")
    refused(visitor.get(image_of(a_result()), params={"expires": 1}), 403, "link_invalid")
    assert behind.results.last.message.link == result_pb2.ImageLink(expires=1)


@pytest.mark.parametrize("expires", ["soon", str(2**63)])
def test_an_expiry_that_is_no_time_is_named(visitor, behind, expires):
    problem = refused(visitor.get(image_of(a_result()), params={"expires": expires}), 422, "invalid_field")
    assert [error["parameter"] for error in problem["errors"]] == ["expires"]


def test_a_picture_that_breaks_off_is_cut_below_its_length(client, behind):
    picture = a_result()

    def breaks_off(message, context):
        yield from download(picture, b"abc")
        raise Refusal(StatusCode.UNAVAILABLE)

    behind.results.answers["DownloadResult"] = breaks_off
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(image_of(picture))


def test_a_client_that_leaves_ends_the_download(client, behind):
    picture = a_result(size_bytes=1 << 40)
    ended = threading.Event()

    def endless(message, context):
        context.add_callback(ended.set)
        yield Part(result=picture)
        while context.is_active():
            yield Part(chunk=bytes(1 << 16))

    behind.results.answers["DownloadResult"] = endless
    with client.stream("GET", image_of(picture)) as response:
        next(response.iter_raw())
    assert ended.wait(10)


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
