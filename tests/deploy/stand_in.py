"""The smallest processes that do what the launcher expects of the services; test_launcher puts them in their place."""

import json
import os
import signal
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar


def serve_grpc(context):
    import grpc
    import psycopg2
    from grpc_health.v1 import health, health_pb2_grpc

    psycopg2.connect(os.environ[f"{context.upper()}_DATABASE_URL"]).close()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    assert server.add_insecure_port(os.environ[f"{context.upper()}_LISTEN"])
    server.start()
    _until_stopped()
    server.stop(1).wait()


def migrate():
    import psycopg2

    for context in sys.argv[1:]:
        psycopg2.connect(os.environ[f"{context.upper()}_DATABASE_URL"]).close()


def work():
    Path(os.environ["EXECUTOR_READY_FILE"]).touch()
    _serve_http(_port("EXECUTOR_LIVENESS_LISTEN"), _Liveness)


def operate():
    """Says its arguments, and the environment that an operator's commands work in."""
    names = ("EXECUTOR_ADDRESS", "SERVICE_KEY_OPERATOR", "AUTH_DATABASE_URL", "AUTH_ENCRYPTION_KEYS")
    said = {"environment": {name: os.environ[name] for name in names if name in os.environ}}
    json.dump({"arguments": sys.argv[1:], **said}, sys.stdout)


def sketch():
    _serve_http(int(sys.argv[sys.argv.index("--port") + 1]))


def gateway():
    _serve_http(_port("GATEWAY_LISTEN"))


def app():
    _serve_http(_port("APP_LISTEN"))


class _Rest(BaseHTTPRequestHandler):
    """One account, one task that is finished when it is asked for the second time, one picture."""

    accounts: ClassVar[dict] = {}
    polls = 0

    def do_GET(self):
        picture = {"image_url": f"http://{self.headers['host']}/picture"}
        if self.path == "/picture":
            self._answer(200, b"a picture")
        elif self.path == "/api/v1/generation/tasks/7":
            _Rest.polls += 1
            done = {"status": "completed", "results": [picture]}
            self._answer(200, json.dumps(done if _Rest.polls > 1 else {"status": "pending"}).encode())
        else:
            self._answer(200, b"{}")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        name = body.get("username")
        if self.path == "/api/v1/auth/register":
            self._answer(409 if name in self.accounts else 201, b"{}")
            self.accounts.setdefault(name, body["password"])
        elif self.path == "/api/v1/auth/login" and self.accounts.get(name) == body["password"]:
            self._answer(200, b'{"access_token": "a token"}')
        elif self.path == "/api/v1/generation/generate" and self.headers["authorization"] == "Bearer a token":
            self._answer(202, b'{"id": 7}')
        else:
            self._answer(401, b"{}")

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Liveness(BaseHTTPRequestHandler):
    """The engine is well unless `….denied` lies beside the ready file, the worker unless `….broken` does."""

    def do_GET(self):
        sign = {"/engine": ".denied", "/worker": ".broken"}[self.path]
        self.send_response(503 if Path(os.environ["EXECUTOR_READY_FILE"]).with_suffix(sign).exists() else 200)
        self.end_headers()


def _port(listen):
    return int(os.environ[listen].rpartition(":")[2])


def _serve_http(port, handler=_Rest):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    ThreadingHTTPServer(("127.0.0.1", port), handler).serve_forever()


def _until_stopped():
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    stopped.wait()
