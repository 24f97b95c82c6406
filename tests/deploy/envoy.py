"""A real Envoy with our configuration, and stand-ins for whom it leads to."""

import base64
import json
import subprocess
import threading
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import httpx
import pytest

from deploy.envoy.render import render
from deploy.local import wheels
from deploy.local.ports import LOOPBACK, reserved_ports
from deploy.local.readiness import NotReady, opens
from deploy.local.watchdog import guarded_group
from gateway.problems import CODES, title_of
from tests.deploy.waiting import wait_until

NAMES = ("public", "auth", "generation", "results", "executor", "gateway", "app")
ORIGIN = "https://app.example.org"
WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 §1.3."""
GREET = "/imagegen.auth.v1.AuthService/Greet"
WATCH = "/imagegen.generation.v1.GenerationService/Watch"


class Gateway(BaseHTTPRequestHandler):
    """Answers every request with what it was asked."""

    protocol_version = "HTTP/1.1"
    name = "gateway"

    def do_GET(self):
        answer = {
            "path": self.path,
            "request_id": self.headers["x-request-id"],
            "forwarded": self.headers.get_all("x-forwarded-for"),
            "scheme": self.headers["x-forwarded-proto"],
            "answered_by": self.name,
        }
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


@contextmanager
def before_a_gateway(folder, verify=None, **settings):
    """A client of such an Envoy, which has the gateway's stand-in behind it and nobody else.

    Args:
        folder: for the configuration and the log.
        verify: an `ssl.SSLContext` where Envoy speaks TLS.
        settings: of `render`.
    """
    with reserved_ports(NAMES) as ports:
        gateway = ThreadingHTTPServer((LOOPBACK, ports["gateway"]), Gateway)
        threading.Thread(target=gateway.serve_forever).start()
        try:
            with (
                an_envoy(folder, ports, **settings) as public,
                httpx.Client(
                    base_url=f"https://{public}" if verify else f"http://{public}",
                    verify=verify or False,
                    trust_env=False,
                ) as client,
            ):
                wait_until(lambda: passes(client))
                yield client
        finally:
            gateway.shutdown()
            gateway.server_close()


def passes(client):
    try:
        return client.get("/api/v1/x").is_success
    except httpx.TransportError:
        return False


def is_open(public):
    try:
        opens(public)()
    except NotReady:
        return False
    return True


def code_of(channel, method):
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary(method)(b"", timeout=5)
    return failure.value.code()


def answers(public):
    try:
        return httpx.get(f"http://{public}/", trust_env=False).status_code == 503
    except httpx.ConnectError:
        return False


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
