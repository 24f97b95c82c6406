"""Pictures' bytes over HTTP: negotiation, ranges, caches, file names, and readers that take their time."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from grpc import StatusCode
from imagegen.results.v1 import picture_pb2, result_pb2
from imagegen.results.v1 import results_service_pb2 as results

from gateway.images import MAX_OPEN
from tests.gateway.builders import a_picture, a_result, refused
from tests.gateway.neighbours import Refusal

Part = results.DownloadResultResponse
PNG, JPEG, WEBP, AVIF = (
    picture_pb2.PICTURE_FORMAT_PNG,
    picture_pb2.PICTURE_FORMAT_JPEG,
    picture_pb2.PICTURE_FORMAT_WEBP,
    picture_pb2.PICTURE_FORMAT_AVIF,
)
IMAGE = f"/api/v1/results/{uuid4()}/image"
ETAG = f'"{"ab" * 32}"'
CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


def download(*chunks: bytes, **fields: Any) -> list[Part]:
    return [Part(picture=a_picture(**fields)), *(Part(chunk=chunk) for chunk in chunks)]


@pytest.fixture
def asked(behind) -> Callable[[], results.DownloadResultRequest]:
    """What results was asked for last; it answers six bytes."""
    behind.results.answers["DownloadResult"] = download(b"abc", b"def")
    return lambda: behind.results.last.message


def test_the_signed_url_opens_the_picture_without_a_token(visitor, behind, asked):
    picture = a_result()
    behind.results.answers["GetResult"] = results.GetResultResponse(result=picture)
    shown = visitor.get(f"/api/v1/results/{picture.id}").json()

    assert visitor.get(shown["image_url"]).content == b"abcdef"
    assert (asked().result_id, asked().link) == (picture.id, picture.image_link)
    assert "authorization" not in behind.results.last.metadata
    assert visitor.get(shown["thumbnail_url"]).content == b"abcdef"
    assert (asked().link, asked().width, list(asked().formats)) == (picture.image_link, 320, [WEBP])


def test_the_owners_token_opens_the_picture(client, behind, asked):
    response = client.get(IMAGE)
    assert (response.status_code, response.content) == (200, b"abcdef")
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-length"] == "6"
    assert response.headers["etag"] == ETAG
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["cache-control"] == "private, max-age=86400, immutable"
    assert response.headers["vary"] == "Accept"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "content-disposition" not in response.headers
    assert not asked().HasField("link")
    assert behind.results.last.metadata["authorization"] == client.headers["authorization"]


@pytest.mark.parametrize(
    ("query", "accept", "formats"),
    [
        ("", "*/*", [PNG]),
        ("", CHROME, [AVIF, WEBP]),
        ("w=320", "*/*", [WEBP, JPEG, PNG]),
        ("w=320", "image/jpeg", [JPEG]),
        ("format=jpeg", CHROME, [JPEG]),
        ("format=png&w=640", CHROME, [PNG]),
        ("download=1", CHROME, [PNG]),
        ("download=1&format=webp", CHROME, [WEBP]),
    ],
)
def test_the_client_gets_the_format_that_it_asks_for_or_else_can_use_best(client, asked, query, accept, formats):
    response = client.get(f"{IMAGE}?{query}", headers={"Accept": accept})
    assert list(asked().formats) == formats
    assert response.headers.get("vary") == (None if "format" in query or "download" in query else "Accept")


def test_the_client_gets_the_width_that_it_asks_for(client, asked):
    client.get(f"{IMAGE}?w=640")
    assert asked().width == 640
    client.get(IMAGE)
    assert not asked().HasField("width")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("width", [99_999, 0, -320])
def test_a_width_that_is_not_on_the_list_is_named(client, behind, method, width):
    fields = [("width", "must be in list [160, 320]")]
    behind.results.answers["DownloadResult"] = Refusal(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", fields=fields)
    response = client.request(method, f"{IMAGE}?w={width}")
    assert response.status_code == 422
    if method == "GET":
        assert [error["parameter"] for error in refused(response, 422, "invalid_field")["errors"]] == ["w"]
    assert behind.results.last.message.width == width


@pytest.mark.parametrize(
    "query", ["w=wide", "w=3e9", "format=gif", "download=perhaps", "expires=soon", f"expires={2**63}"]
)
def test_a_query_that_makes_no_sense_is_named(visitor, behind, query):
    problem = refused(visitor.get(f"{IMAGE}?{query}"), 422, "invalid_field")
    assert [error["parameter"] for error in problem["errors"]] == [query.partition("=")[0]]


@pytest.mark.parametrize("known", [ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"])
def test_a_picture_that_the_client_has_is_not_sent_again(client, asked, known):
    response = client.get(IMAGE, headers={"If-None-Match": known, "Range": "bytes=0-1"})
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == ETAG
    assert response.headers["vary"] == "Accept"
    assert not asked().HasField("range")


def test_another_pictures_etag_does_not_match(client, asked):
    assert client.get(IMAGE, headers={"If-None-Match": '"cd"'}).status_code == 200


def test_a_range_is_answered_with_its_part(client, behind):
    behind.results.answers["DownloadResult"] = download(b"cd", offset=2, length=2)
    response = client.get(IMAGE, headers={"Range": "bytes=2-3"})
    assert (response.status_code, response.content) == (206, b"cd")
    assert response.headers["content-range"] == "bytes 2-3/6"
    assert response.headers["content-length"] == "2"
    assert response.headers["etag"] == ETAG
    assert behind.results.last.message.range == picture_pb2.ByteRange(first=2, last=3)


@pytest.mark.parametrize("header", ["bytes=0-1,3-4", "lines=0-1", "bytes=5-4", "nonsense"])
def test_a_range_that_is_not_understood_is_answered_with_the_whole(client, asked, header):
    response = client.get(IMAGE, headers={"Range": header})
    assert (response.status_code, response.content) == (200, b"abcdef")
    assert not asked().HasField("range")


def test_a_range_of_bytes_that_have_changed_is_answered_with_the_whole(client, asked):
    client.get(IMAGE, headers={"Range": "bytes=0-1", "If-Range": ETAG})
    assert asked().if_range_sha256 == "ab" * 32
    response = client.get(IMAGE, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert asked().if_range_sha256 == "0" * 64
    assert response.status_code == 200


@pytest.mark.parametrize("header", ["bytes=-0", "bytes=6-"])
def test_a_range_without_a_byte_is_answered_with_how_many_there_are(client, behind, header):
    refusal = Refusal(StatusCode.OUT_OF_RANGE, "RANGE_NOT_SATISFIABLE", metadata={"size_bytes": "6"})
    behind.results.answers["DownloadResult"] = refusal
    response = client.get(IMAGE, headers={"Range": header})
    refused(response, 416, "range_not_satisfiable")
    assert response.headers["content-range"] == "bytes */6"
    assert behind.results.last.message.HasField("range")


@pytest.mark.parametrize("query", ["", "?w=320", "?download=1"])
def test_head_is_answered_like_get_without_the_bytes(client, asked, query):
    got, head = client.get(IMAGE + query), client.head(IMAGE + query, headers={"Range": "bytes=0-1"})
    of_each = ("x-request-id", "traceparent", "date")
    assert (head.status_code, head.content) == (200, b"")
    assert {k: v for k, v in head.headers.items() if k not in of_each} == {
        k: v for k, v in got.headers.items() if k not in of_each
    }
    assert not asked().HasField("range")
    assert client.head(IMAGE, headers={"If-None-Match": ETAG}).status_code == 304


def test_a_download_has_a_name_that_people_can_read(client, behind):
    behind.results.answers["DownloadResult"] = download(b"abcdef", file_name="雨夜的猫 2.png")
    response = client.get(f"{IMAGE}?download=1")
    assert response.headers["content-disposition"] == (
        "attachment; filename=\"2.png\"; filename*=UTF-8''%E9%9B%A8%E5%A4%9C%E7%9A%84%E7%8C%AB%202.png"
    )
    assert not behind.results.last.message.redirect


@pytest.mark.parametrize("name", ['a"\r\nSet-Cookie: a=b\r\n\r\n<script>.png', "\x00\x1b[31m\u202egnp.exe"])
def test_no_name_gets_out_of_its_header(client, behind, name):
    behind.results.answers["DownloadResult"] = download(b"abcdef", file_name=name)
    response = client.get(f"{IMAGE}?download=1")
    assert "set-cookie" not in response.headers
    assert response.headers["content-disposition"].isascii()
    assert response.headers["content-disposition"].isprintable()
    assert response.content == b"abcdef"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_store_that_hands_pictures_out_itself_is_where_the_client_is_sent(client, behind, method):
    url = "https://bucket.example.com/a.png?X-Amz-Signature=abc"
    behind.results.answers["DownloadResult"] = download(redirect_url=url, redirect_seconds=300, length=0)
    response = client.request(method, IMAGE)
    assert (response.status_code, response.content) == (302, b"")
    assert response.headers["location"] == url
    assert response.headers["cache-control"] == "private, max-age=150"
    assert response.headers["vary"] == "Accept, Sec-Fetch-Site"
    assert behind.results.last.message.redirect
    assert client.request(method, IMAGE, headers={"If-None-Match": ETAG}).status_code == 304


@pytest.mark.parametrize(("site", "redirected"), [("same-origin", False), ("cross-site", True), ("none", True)])
def test_a_page_of_our_own_is_sent_nowhere_else(client, asked, site, redirected):
    client.get(IMAGE, headers={"Sec-Fetch-Site": site})
    assert asked().redirect == redirected


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
    response = visitor.get(IMAGE)
    refused(response, status, reason.lower())
    assert response.headers["cache-control"] == "no-store"
    assert visitor.head(IMAGE).status_code == status


def test_half_a_link_is_still_a_link(visitor, behind):
    behind.results.answers["DownloadResult"] = Refusal(StatusCode.PERMISSION_DENIED, "LINK_INVALID")
    refused(visitor.get(IMAGE, params={"expires": 1}), 403, "link_invalid")
    assert behind.results.last.message.link == result_pb2.ImageLink(expires=1)


def test_an_id_that_cannot_be_one_is_not_found(client):
    refused(client.get("/api/v1/results/nonsense/image"), 404, "result_not_found")


def test_a_picture_that_breaks_off_is_cut_below_its_length(client, behind):
    def breaks_off(message, context):
        yield from download(b"abc")
        raise Refusal(StatusCode.UNAVAILABLE)

    behind.results.answers["DownloadResult"] = breaks_off
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(IMAGE)


class Endless:
    """A picture of a terabyte; counts what is taken of it."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended = threading.Semaphore(0)

    def __call__(self, message: Any, context: Any) -> Iterator[Part]:
        context.add_callback(self.ended.release)
        yield Part(picture=a_picture(size_bytes=1 << 40))
        while context.is_active():
            self.sent += 1 << 16
            yield Part(chunk=bytes(1 << 16))


def test_a_client_that_leaves_ends_the_download(client, behind):
    behind.results.answers["DownloadResult"] = endless = Endless()
    with client.stream("GET", IMAGE) as response:
        next(response.iter_raw())
    assert endless.ended.acquire(timeout=10)


@contextmanager
def a_slow_reader(client: httpx.Client) -> Iterator[socket.socket]:
    """Has read one byte, and takes its time with the next."""
    url = client.base_url
    with socket.create_connection((url.host, url.port), timeout=20) as reader:
        authorization = client.headers["authorization"]
        reader.sendall(f"GET {IMAGE} HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: {authorization}\r\n\r\n".encode())
        assert reader.recv(1) == b"H"
        yield reader


def test_a_slow_reader_holds_up_nobody_and_takes_little_memory(client, behind):
    endless = Endless()
    quick = download(b"abcdef")
    behind.results.answers["DownloadResult"] = lambda message, context: (
        quick if message.HasField("width") else endless(message, context)
    )
    with a_slow_reader(client) as reader:
        for _ in range(20):
            assert client.get(f"{IMAGE}?w=320").content == b"abcdef"
            assert reader.recv(1)
        assert endless.sent < 32 << 20, "what is not read is not fetched"
    assert endless.ended.acquire(timeout=10)


class Stalled:
    """A picture of which no more comes than the beginning."""

    def __init__(self) -> None:
        self.ended = threading.Semaphore(0)

    def __call__(self, message: Any, context: Any) -> Iterator[Part]:
        left = threading.Event()
        if not context.add_callback(left.set):  # who asked has left already
            left.set()
        try:
            yield Part(picture=a_picture(size_bytes=1 << 40))
            yield Part(chunk=b"abcdef")
            left.wait()
        finally:
            self.ended.release()


def test_the_downloads_of_one_address_are_bounded(client, behind):
    behind.results.answers["DownloadResult"] = stalled = Stalled()
    with ExitStack() as readers:
        for _ in range(MAX_OPEN):
            readers.enter_context(a_slow_reader(client))
        response = client.get(IMAGE)
        refused(response, 429, "too_many_downloads")
        assert response.headers["retry-after"] == "1"
        assert client.head(IMAGE).status_code == 200
        another = {"X-Forwarded-For": "192.0.2.7"}
        with client.stream("GET", IMAGE, headers=another) as elsewhere:
            assert elsewhere.status_code == 200
    for _ in range(MAX_OPEN + 2):
        assert stalled.ended.acquire(timeout=10)
    behind.results.answers["DownloadResult"] = download(b"abcdef")
    assert client.get(IMAGE).content == b"abcdef"
