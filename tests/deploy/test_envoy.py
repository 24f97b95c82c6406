"""The public door: who is let through to whom, and what a caller hears when nobody answers."""

import base64
import json
import socket
import subprocess
import sys
import threading
import uuid
from concurrent import futures
from contextlib import contextmanager, suppress
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from deploy.envoy.render import render
from deploy.local import wheels
from deploy.local.ports import LOOPBACK, reserved_ports
from deploy.local.readiness import NotReady, opens
from deploy.local.watchdog import guarded_group
from gateway.problems import CODES, title_of
from tests.certificates import put_certificates
from tests.deploy.rendered import PROJECT, pods
from tests.deploy.waiting import wait_until
from tests.serving import health

NAMES = ("public", "auth", "generation", "results", "executor", "gateway", "app")
ORIGIN = "https://app.example.org"
WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 §1.3."""

GREET = "/imagegen.auth.v1.AuthService/Greet"
WATCH = "/imagegen.generation.v1.GenerationService/Watch"
GRPC_WEB = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}


class Gateway(BaseHTTPRequestHandler):
    """Answers every request with what it was asked."""

    protocol_version = "HTTP/1.1"
    name = "gateway"

    def do_GET(self):
        answer = {"path": self.path, "request_id": self.headers["x-request-id"], "answered_by": self.name}
        body = json.dumps(answer).encode()
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.do_GET()

    def log_message(self, *_):
        pass


class OneOfTwo(Gateway):
    """A replica of the gateway that keeps no connection open, and answers with its own port."""

    protocol_version = "HTTP/1.0"

    @property
    def name(self):
        return str(self.server.server_address[1])


class App(Gateway):
    """Agrees to speak WebSocket, too (RFC 6455 §4.2.2), and hangs up."""

    name = "app"

    def do_GET(self):
        if self.headers.get("upgrade") != "websocket":
            super().do_GET()
            return
        accepted = base64.b64encode(sha1(self.headers["sec-websocket-key"].encode() + WEBSOCKET).digest()).decode()
        self.send_response(101)
        for name, value in (("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-accept", accepted)):
            self.send_header(name, value)
        self.end_headers()


class Services(grpc.GenericRpcHandler):
    """`Greet` echoes its message; `Watch` sends its second message when the test has seen the first."""

    def __init__(self):
        self.first_was_seen = threading.Event()

    def service(self, details):
        if details.method.endswith("/Greet"):
            return grpc.unary_unary_rpc_method_handler(lambda message, _: b"hello " + message)
        if details.method.endswith("/Watch"):
            return grpc.unary_stream_rpc_method_handler(self.watch)
        return None

    def watch(self, *_):
        yield b"first"
        assert self.first_was_seen.wait(10)
        yield b"second"


@contextmanager
def an_envoy(folder, ports, **settings):
    addresses = {name: f"{LOOPBACK}:{ports[name]}" for name in NAMES[1:]}
    config = folder / "envoy.yaml"
    listen = f"{LOOPBACK}:{ports['public']}"
    config.write_text(render(**{"listen": listen, **addresses, "cors_origins": [ORIGIN], **settings}))
    command = [wheels.envoy(), "-c", str(config), "--concurrency", "1", "--disable-hot-restart"]
    with (
        guarded_group() as group,
        (folder / "log").open("a") as log,  # Envoy opens its standard output anew
        subprocess.Popen(command, stdout=log, stderr=log, process_group=group) as envoy,
    ):
        try:
            yield f"{LOOPBACK}:{ports['public']}"
        finally:
            envoy.terminate()


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


def is_open(public):
    try:
        opens(public)()
    except NotReady:
        return False
    return True


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


def code_of(channel, method):
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary(method)(b"", timeout=5)
    return failure.value.code()


def validate(config):
    command = [wheels.envoy(), "--mode", "validate", "-c", str(config)]
    validated = subprocess.run(command, capture_output=True, text=True, check=False)
    assert validated.returncode == 0, validated.stderr


@pytest.mark.parametrize("access_log", [True, False])
def test_envoy_accepts_the_rendered_configuration(tmp_path, access_log):
    config = tmp_path / "envoy.yaml"
    addresses = {name: f"{name}.imagegen.svc:50051" for name in NAMES[1:]}
    config.write_text(render(listen="0.0.0.0:8080", **addresses, access_log=access_log))
    validate(config)


def rendered_in_the_pod(folder, *more):
    """What the init container of deploy/k8s writes, with its own arguments."""
    (container,) = pods("production")["envoy"]["spec"]["initContainers"]
    command = [sys.executable, "-m", "deploy.envoy.render", *container["args"], *more]
    config = folder / "envoy.yaml"
    config.write_bytes(subprocess.run(command, capture_output=True, check=True, cwd=PROJECT).stdout)
    return config


def test_envoy_accepts_the_configuration_of_the_cluster(tmp_path):
    config = rendered_in_the_pod(tmp_path)
    validate(config)
    assert "path: /dev/stdout" in config.read_text()


def test_envoy_accepts_the_configuration_of_the_cluster_with_certificates(tmp_path):
    validate(rendered_in_the_pod(tmp_path, "--tls", *put_certificates(tmp_path / "certificates").values()))


def test_a_pod_that_stops_asks_its_callers_to_come_back_elsewhere_and_answers_meanwhile(tmp_path):
    """The pod's own preStop command, but for its sleep, against the real Envoy."""
    command = pods("production")["envoy"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    with (
        reserved_ports((*NAMES, "admin")) as ports,
        an_envoy(tmp_path, ports, admin=f"{LOOPBACK}:{ports['admin']}") as public,
    ):
        wait_until(lambda: answers(public))
        assert "connection" not in httpx.get(f"http://{public}/", trust_env=False).headers
        drain = command[-1].replace("9901", str(ports["admin"])).replace("sleep 25", "read -r answer <&3; echo $answer")
        answer = subprocess.run([*command[:-1], drain], capture_output=True, text=True, check=True)
        assert "200 OK" in answer.stdout
        # At first of a few, by chance, and of all of them when the drain time is over.
        wait_until(lambda: httpx.get(f"http://{public}/", trust_env=False).headers.get("connection") == "close")


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
    [("/", "app"), ("/?x=1", "app"), ("/app/3f/main.dart.js", "app"), ("/plain", "gateway"), ("/apps", "gateway")],
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


def assert_is_a_problem(answer, code):
    """Just as the gateway would say it."""
    assert answer.headers["content-type"] == "application/problem+json"
    status, detail = CODES[code]
    assert answer.status_code == status
    assert answer.json() == {
        "type": str(answer.url.copy_with(raw_path=f"/problems/{code}".encode())),
        "title": title_of(status),
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [],
        "request_id": answer.json()["request_id"],
    }


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


def answers(public):
    try:
        return httpx.get(f"http://{public}/", trust_env=False).status_code == 503
    except httpx.ConnectError:
        return False


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


def test_health_is_asked_of_each_service_alone(tmp_path):
    """One service away leaves the others reachable."""
    with reserved_ports(NAMES) as ports:
        server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Services()])
        servicer = health()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        assert server.add_insecure_port(f"{LOOPBACK}:{ports['auth']}")
        server.start()
        with an_envoy(tmp_path, ports) as public, grpc.insecure_channel(public) as channel:
            greet = channel.unary_unary(GREET)
            assert greet(b"Ada", timeout=5, wait_for_ready=True) == b"hello Ada"
            assert code_of(channel, WATCH) == grpc.StatusCode.UNAVAILABLE
            servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
            wait_until(lambda: refuses(greet))
        server.stop(None).wait()


def refuses(method):
    try:
        method(b"", timeout=5)
    except grpc.RpcError as error:
        return error.code() == grpc.StatusCode.UNAVAILABLE
    return False


def test_no_spelling_of_a_share_link_is_logged(tmp_path):
    spellings = ["/s/TOKEN", "/s/TOKEN/image?w=1280", "/%73/TOKEN", "/s%2FTOKEN", "/%73%2fTOKEN/image", "//S/TOKEN"]
    with reserved_ports(NAMES) as ports, an_envoy(tmp_path, ports, access_log=True) as public:
        wait_until(lambda: answers(public))
        for path in (*spellings, "/api/v1/x?signature=TOKEN"):
            httpx.get(f"http://{public}{path}", trust_env=False)
    log = (tmp_path / "log").read_text()
    paths = [json.loads(line)["path"] for line in log.splitlines() if line.startswith("{")]
    assert paths[-7:] == ["/s/"] * 6 + ["/api/v1/x"]
    assert "TOKEN" not in log


def test_a_person_is_told_in_words_when_the_client_is_away(deserted):
    answer = httpx.get(f"http://{deserted}/", trust_env=False)
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "ImageGen 暂时离开" in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_never_reached_a_replica_goes_to_the_other_whatever_its_method(tmp_path, method):
    with reserved_ports([*NAMES, "gateway-2"]) as ports:
        replicas = [ThreadingHTTPServer((LOOPBACK, ports[name]), OneOfTwo) for name in ("gateway", "gateway-2")]
        for each in replicas:
            threading.Thread(target=each.serve_forever).start()
        gateway = ",".join(f"{LOOPBACK}:{ports[name]}" for name in ("gateway", "gateway-2"))
        gone, other = replicas
        try:
            with (
                an_envoy(tmp_path, ports, gateway=gateway) as public,
                httpx.Client(base_url=f"http://{public}", trust_env=False) as rest,
            ):

                def answered_by():
                    with suppress(httpx.HTTPError):
                        return rest.request(method, "/who").raise_for_status().json()["answered_by"]

                for each in replicas:
                    wait_until(lambda each=each: answered_by() == str(each.server_address[1]))
                gone.shutdown()
                gone.server_close()  # Envoy finds out when it asks for the second time, in a second or two
                heard = {rest.request(method, "/who").raise_for_status().json()["answered_by"] for _ in range(20)}
                assert heard == {str(other.server_address[1])}
        finally:
            for each in replicas:
                each.shutdown()
                each.server_close()
