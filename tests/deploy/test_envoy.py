"""The public door: who is let through to whom, and what a caller hears when nobody answers."""

import base64
import json
import socket
import threading
import uuid
from concurrent import futures
from contextlib import suppress
from http.server import ThreadingHTTPServer

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2_grpc
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from deploy.local.ports import LOOPBACK, reserved_ports
from gateway.problems import CODES, title_of
from tests.deploy.envoy import (
    GREET,
    NAMES,
    ORIGIN,
    WATCH,
    App,
    Gateway,
    Services,
    an_envoy,
    answers,
    assert_is_a_problem,
    code_of,
    is_open,
)
from tests.deploy.waiting import wait_until
from tests.serving import health

GRPC_WEB = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}


@pytest.fixture(scope="module")
def services():
    return Services()


@pytest.fixture(scope="module")
def public(tmp_path_factory, services):
    """The address of an Envoy before a gateway, the client's web process and one gRPC server for the three services."""
    with reserved_ports(NAMES) as ports:
        server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[services])
        health_pb2_grpc.add_HealthServicer_to_server(health(), server)
        for name in ("auth", "generation", "results"):
            assert server.add_insecure_port(f"{LOOPBACK}:{ports[name]}")
        server.start()
        servers = [ThreadingHTTPServer((LOOPBACK, ports[kind.name]), kind) for kind in (Gateway, App)]
        for each in servers:
            threading.Thread(target=each.serve_forever).start()
        try:
            with an_envoy(tmp_path_factory.mktemp("envoy"), ports) as public:
                wait_until(lambda: is_open(public))
                yield public
        finally:
            for each in servers:
                each.shutdown()
                each.server_close()
            server.stop(None).wait()


@pytest.fixture
def rest(public):
    with httpx.Client(base_url=f"http://{public}", trust_env=False) as client:
        yield client


@pytest.fixture
def channel(public):
    with grpc.insecure_channel(public) as channel:
        yield channel


def frame(message):
    """A length-prefixed message, as gRPC sends it."""
    return b"\0" + len(message).to_bytes(4) + message


def test_grpc_passes(channel):
    assert channel.unary_unary(GREET)(b"Ada", timeout=5) == b"hello Ada"


def test_a_stream_passes_message_by_message(channel, services):
    stream = channel.unary_stream(WATCH)(b"", timeout=10)
    assert next(stream) == b"first"
    services.first_was_seen.set()
    assert list(stream) == [b"second"]


def test_binary_grpc_web_passes(rest):
    answer = rest.post(GREET, headers=GRPC_WEB, content=frame(b"Ada"))
    assert answer.headers["content-type"] == "application/grpc-web+proto"
    assert answer.content.startswith(frame(b"hello Ada"))
    assert b"grpc-status:0" in answer.content


def test_text_grpc_web_passes(rest):
    headers = {"content-type": "application/grpc-web-text", "accept": "application/grpc-web-text"}
    answer = rest.post(GREET, headers=headers, content=base64.b64encode(frame(b"Ada")))
    assert base64.b64decode(answer.content[:20]).startswith(frame(b"hello Ada"))


@pytest.mark.parametrize(
    "method",
    [
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/imagegen.executor.v1.ExecutorService/SubmitJob",
        "/imagegen.auth.v1.InternalService/WatchRevocations",
    ],
)
def test_what_is_not_public_is_unimplemented(channel, method):
    assert code_of(channel, method) == grpc.StatusCode.UNIMPLEMENTED


def test_everything_else_goes_to_the_gateway(rest):
    assert rest.get("/api/v1/generation/tasks/7?x=1").json()["path"] == "/api/v1/generation/tasks/7?x=1"


@pytest.mark.parametrize(
    ("path", "name"),
    [("/", "app"), ("/?x=1", "app"), ("/app/3f/main.dart.js", "app"), ("/docs", "gateway"), ("/apps", "gateway")],
)
def test_the_first_page_and_its_files_come_from_the_client(rest, path, name):
    assert rest.get(path).json()["answered_by"] == name


def test_a_session_of_the_client_has_a_websocket(public):
    url = f"ws://{public}/ws"
    # The stand-in answers no closing handshake.
    with suppress(ConnectionClosed), connect(url, proxy=None, close_timeout=0.1) as connection:
        assert connection.response.status_code == 101


def test_nothing_else_has_a_websocket(public):
    with pytest.raises(InvalidStatus), connect(f"ws://{public}/api/v1/x", proxy=None):
        pass


def test_a_callers_request_id_is_kept(rest):
    answer = rest.get("/api/v1/x", headers={"x-request-id": "from-the-caller"})
    assert answer.json()["request_id"] == "from-the-caller" == answer.headers["x-request-id"]


def test_a_callers_uuid_is_kept_to_the_last_digit(rest):
    request_id = str(uuid.uuid4())
    assert rest.get("/api/v1/x", headers={"x-request-id": request_id}).json()["request_id"] == request_id


def test_an_endless_request_id_is_cut(rest):
    assert rest.get("/api/v1/x", headers={"x-request-id": "x" * 5000}).json()["request_id"] == "x" * 128


def test_a_request_without_an_id_gets_a_uuid(rest):
    assert uuid.UUID(rest.get("/api/v1/x").json()["request_id"]).version == 4


def preflight(rest, origin):
    return rest.options(
        GREET,
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "x-grpc-web",
        },
    )


def test_a_page_of_an_allowed_origin_may_call_and_read_the_status(rest):
    assert preflight(rest, ORIGIN).headers["access-control-allow-origin"] == ORIGIN
    answer = rest.post(GREET, headers=GRPC_WEB | {"origin": ORIGIN}, content=frame(b"Ada"))
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"grpc-status", "grpc-message", "grpc-status-details-bin"} <= set(exposed)
    assert {"etag", "idempotent-replayed", "link", "location", "preference-applied", "ratelimit"} <= set(exposed)
    assert {"ratelimit-policy", "retry-after", "traceparent", "www-authenticate", "x-request-id"} <= set(exposed)


@pytest.mark.parametrize("header", ["authorization", "idempotency-key", "if-none-match", "prefer", "traceparent"])
def test_a_page_of_an_allowed_origin_may_send_what_the_api_takes(rest, header):
    allowed = preflight(rest, ORIGIN).headers["access-control-allow-headers"].split(", ")
    assert header in allowed


def test_a_page_of_another_origin_may_not(rest):
    assert "access-control-allow-origin" not in preflight(rest, "https://evil.example.org").headers


def test_a_rest_body_of_one_mebibyte_is_the_limit(rest):
    assert rest.post("/api/v1/x", content=b"x" * 2**20).status_code == 200
    answer = rest.post("/api/v1/x", content=b"x" * (2**20 + 1))
    assert answer.status_code == 413
    assert_is_a_problem(answer, "content_too_large")


@pytest.mark.parametrize("path", ["/imagegen.executor.v1.ExecutorService/SubmitJob", "/grpc.health.v1.Health/Check"])
def test_what_is_not_public_is_not_found_for_rest(rest, path):
    assert_is_a_problem(rest.post(path), "not_found")


def test_a_method_that_nobody_knows_reaches_the_gateway(rest):
    assert rest.request("BREW", "/api/v1/x").status_code == 501  # as Python's own server says it


@pytest.mark.parametrize("line", ["GET / HTTP/1.1\r\nHost: x\r\na: \0", "nonsense"])
def test_what_is_no_http_is_a_problem(public, line):
    with socket.create_connection(public.split(":")) as connection, connection.makefile("rwb") as stream:
        stream.write(f"{line}\r\n\r\n".encode())
        stream.flush()
        head, body = stream.read().split(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert_says(json.loads(body), "bad_request")


def test_endless_headers_are_refused(rest):
    answer = rest.get("/api/v1/x", headers={"x-endless": "x" * 70_000})
    assert answer.headers["content-type"] == "application/problem+json"
    assert_says(answer.json(), "headers_too_large")


def assert_says(problem, code):
    """As far as it can be said when the request could not be read."""
    status, detail = CODES[code]
    assert problem == {
        "type": f"/problems/{code}",
        "title": title_of(status),
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [],
    }


def test_a_grpc_message_may_be_larger_than_a_rest_body(channel):
    picture = b"x" * (2 * 2**20)
    assert channel.unary_unary(GREET)(picture, timeout=5) == b"hello " + picture


@pytest.fixture(scope="module")
def deserted(tmp_path_factory):
    """The address of an Envoy with nobody behind it."""
    with reserved_ports(NAMES) as ports, an_envoy(tmp_path_factory.mktemp("deserted"), ports) as public:
        wait_until(lambda: answers(public))
        yield public


def test_a_rest_caller_hears_a_problem_when_the_gateway_is_away(deserted):
    answer = httpx.get(f"http://{deserted}/api/v1/x", headers={"x-request-id": 'a"b'}, trust_env=False)
    assert answer.headers["retry-after"] == "1"
    assert_is_a_problem(answer, "unavailable")
    assert answer.json()["request_id"] == 'a"b'


def test_a_grpc_caller_hears_unavailable_when_the_service_is_away(deserted):
    with grpc.insecure_channel(deserted) as channel, pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary(GREET)(b"", timeout=5)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "{" not in failure.value.details()


def test_a_person_is_told_in_words_when_the_client_is_away(deserted):
    answer = httpx.get(f"http://{deserted}/", trust_env=False)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "ImageGen 暂时离开" in answer.text
