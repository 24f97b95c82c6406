"""The service as it is deployed: a process of its own with nothing but its environment."""

import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from imagegen.results.v1 import store_service_pb2_grpc

from services.runtime.ids import uuid7
from services.runtime.tokens import encode_key
from tests.identities import public_key, seed
from tests.results.pictures import a_png
from tests.results.store_servers import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY
from tests.results.test_crashes import TWO_HOURS_PASS
from tests.runtime.test_erasures import Auth
from tests.tcp_proxy import TcpProxy


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


def test_killed_while_it_writes_to_s3_it_leaves_what_a_sweep_finds(environment, world, rclone):
    def on_s3(address: str) -> dict[str, str]:
        return {
            "RESULTS_STORE_URL": f"s3://{BUCKET}/killed",
            "RESULTS_STORE_ENDPOINT": f"http://{address}",
            "RESULTS_STORE_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "RESULTS_STORE_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "RESULTS_STORE_VIRTUAL_HOSTED": "false",
        }

    environment["RESULTS_DATABASE_URL"] = world.database.url.render_as_string(hide_password=False)
    environment["SERVICE_PUBLIC_KEYS"] = public_key("worker")
    pictures = rclone.folder / "killed"
    with (
        TcpProxy(rclone.address) as proxy,
        start(environment | on_s3(proxy.address)) as process,
        grpc.insecure_channel(environment["RESULTS_LISTEN"]) as channel,
        ThreadPoolExecutor() as threads,
    ):
        try:
            grpc.channel_ready_future(channel).result(20)
            world = replace(world, workers=store_service_pb2_grpc.StoreServiceStub(channel))
            kept = world.store()
            proxy.freeze()
            lost = threads.submit(world.store)
            while not any(row.store_key.endswith(".png") for row in world.rows("orphans")):
                assert not lost.done()
        finally:
            process.kill()
        assert lost.exception(20).code() is grpc.StatusCode.UNAVAILABLE
    assert [str(row.id) for row in world.rows("results")] == [kept.id]

    world.sql(TWO_HOURS_PASS)
    with start(environment | on_s3(rclone.address)) as process:
        try:
            while world.rows("orphans"):
                assert process.poll() is None
        finally:
            process.kill()

    thumbnails = [row.store_key for row in world.rows("variants")]
    assert sorted(path.name for path in pictures.iterdir()) == sorted([f"{kept.id}.png", *thumbnails])


def test_it_makes_thumbnails_before_anybody_asks(environment, world):
    environment["RESULTS_DATABASE_URL"] = world.database.url.render_as_string(hide_password=False)
    environment["SERVICE_PUBLIC_KEYS"] = public_key("worker")
    with start(environment) as process, grpc.insecure_channel(environment["RESULTS_LISTEN"]) as channel:
        try:
            grpc.channel_ready_future(channel).result(20)
            world = replace(world, workers=store_service_pb2_grpc.StoreServiceStub(channel))
            stored = world.store(a_png(640, 480))
            while not (made := world.rows("variants")):
                assert process.poll() is None
        finally:
            process.kill()
    [thumbnail] = made
    assert (str(thumbnail.result_id), thumbnail.media_type, thumbnail.width) == (stored.id, "image/webp", 320)


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("RESULTS_DATABASE_URL", None, "database_url"),
        ("RESULTS_SIGNING_KEY", None, "signing_key"),
        ("SERVICE_KEY_RESULTS", None, "SERVICE_KEY_RESULTS"),
        ("RESULTS_SIGNING_KEY", encode_key(bytes(31)), "32 bytes"),
        ("RESULTS_STORE_URL", "s3:///pictures", "names no bucket"),
        ("RESULTS_QUOTA_BYTES", "-1", "quota_bytes"),
        ("RESULTS_QUOTA_BYTES", "10 GiB", "quota_bytes"),
        ("RESULTS_RETENTION_DAYS", "-1", "retention_days"),
        ("RESULTS_RETENTION_DAYS", "1.5", "retention_days"),
        ("RESULTS_RETENTION_DAYS", "1000000", "retention_days"),
    ],
    ids=[
        *("no database", "no key", "no identity", "a short key", "no bucket"),
        *("a quota below nothing", "a quota in words", "days below none", "half a day", "3,000 years"),
    ],
)
def test_it_does_not_start_without_what_it_needs(environment, variable, value, complaint):
    environment.pop(variable, None)
    if value:
        environment[variable] = value

    with start(environment) as process:
        output, _ = process.communicate(timeout=20)

    assert process.returncode == 1
    assert complaint in output
