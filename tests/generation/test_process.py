"""The service as it is deployed: a process of its own with nothing but its environment."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import generation_service_pb2_grpc

from services.runtime.ids import uuid7
from services.runtime.tokens import encode_key
from tests.generation.conftest import WAIT, eventually
from tests.generation.executor_stand_in import ExecutorStandIn
from tests.runtime.test_erasures import Auth


@pytest.fixture
def executor() -> Iterator[ExecutorStandIn]:
    stand_in = ExecutorStandIn()
    stand_in.come()
    yield stand_in
    stand_in.go()


@pytest.fixture
def environment(fresh_database, executor) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ":".join(filter(None, sys.path)),
        "GENERATION_DATABASE_URL": fresh_database("generation"),
        "GENERATION_LISTEN": f"127.0.0.1:{port}",
        "AUTH_ADDRESS": "127.0.0.1:1",
        "EXECUTOR_ADDRESS": executor.address,
        "RESULTS_ADDRESS": "127.0.0.1:1",
        "SERVICE_KEY_GENERATION": encode_key(bytes(32)),
        "SERVICE_PUBLIC_KEYS": "",
    }


@contextmanager
def process(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-m", "services.generation.main"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with started:
        try:
            yield started
        finally:
            started.kill()


def models_listed(channel: grpc.Channel) -> list[str]:
    try:
        answer = generation_service_pb2_grpc.GenerationServiceStub(channel).ListModels(pb.ListModelsRequest())
    except grpc.RpcError as error:  # not fetched yet
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        return []
    return [model.name for model in answer.models]


def test_it_serves_while_auth_is_away_follows_the_executor_and_stops_when_told(environment, executor):
    with process(environment) as it, grpc.insecure_channel(environment["GENERATION_LISTEN"]) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="imagegen.generation.v1.GenerationService")
        answer = health.Check(request, wait_for_ready=True, timeout=WAIT)
        executor.followed.get(timeout=WAIT)
        eventually(lambda: models_listed(channel) == ["sd15"])
        it.send_signal(signal.SIGTERM)

        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert it.wait(WAIT) == 0
        assert "failed" not in it.stdout.read()


def test_it_forgets_whom_auth_has_deleted(environment):
    auth, deleted = Auth(), uuid7()
    auth.deleted = [deleted]
    with auth.running() as address, process(environment | {"AUTH_ADDRESS": address}):
        assert auth.acknowledged.get(timeout=WAIT) == deleted


@pytest.mark.parametrize(
    "variable",
    [
        *("GENERATION_DATABASE_URL", "GENERATION_LISTEN", "EXECUTOR_ADDRESS", "RESULTS_ADDRESS"),
        "SERVICE_KEY_GENERATION",
    ],
)
def test_it_does_not_start_without_what_it_needs(environment, variable):
    del environment[variable]

    with process(environment) as it:
        output, _ = it.communicate(timeout=WAIT)

    assert it.returncode == 1
    assert variable.removeprefix("GENERATION_").lower() in output.lower()
