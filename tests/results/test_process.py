"""The service as it is deployed: a process of its own with nothing but its environment."""

import signal
import socket
import subprocess
import sys

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.runtime.ids import uuid7
from services.runtime.tokens import encode_key
from tests.identities import seed
from tests.runtime.test_erasures import Auth


@pytest.fixture
def environment(fresh_database, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        "PYTHONPATH": ":".join(filter(None, sys.path)),
        "RESULTS_DATABASE_URL": fresh_database("results"),
        "RESULTS_LISTEN": f"127.0.0.1:{port}",
        "RESULTS_STORE_URL": (tmp_path / "pictures").as_uri(),
        "RESULTS_SIGNING_KEY": encode_key(bytes(32)),
        "AUTH_ADDRESS": "127.0.0.1:1",
        "SERVICE_KEY_RESULTS": seed("results"),
        "SERVICE_PUBLIC_KEYS": "",
    }


def start(environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "services.results.main"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_it_serves_while_auth_is_away_and_stops_when_told(environment):
    with start(environment) as process, grpc.insecure_channel(environment["RESULTS_LISTEN"]) as channel:
        try:
            health = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service="imagegen.results.v1.ResultsService")
            answer = health.Check(request, wait_for_ready=True, timeout=20)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0
        finally:
            process.kill()


def test_it_forgets_whom_auth_has_deleted(environment):
    auth, deleted = Auth(), uuid7()
    auth.deleted = [deleted]
    with auth.running() as address, start(environment | {"AUTH_ADDRESS": address}) as process:
        try:
            assert auth.acknowledged.get(timeout=20) == deleted
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("RESULTS_DATABASE_URL", None, "database_url"),
        ("RESULTS_SIGNING_KEY", None, "signing_key"),
        ("SERVICE_KEY_RESULTS", None, "SERVICE_KEY_RESULTS"),
        ("RESULTS_SIGNING_KEY", encode_key(bytes(31)), "32 bytes"),
    ],
    ids=["no database", "no key", "no identity", "a short key"],
)
def test_it_does_not_start_without_its_secrets(environment, variable, value, complaint):
    environment.pop(variable)
    if value:
        environment[variable] = value

    with start(environment) as process:
        output, _ = process.communicate(timeout=20)

    assert process.returncode == 1
    assert complaint in output
