"""The configurations that are rendered for Envoy, and what it makes of replicas and pods that come and go."""

import json
import subprocess
import sys
import threading
from concurrent import futures
from contextlib import suppress
from http.server import ThreadingHTTPServer

import grpc
import httpx
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.envoy.render import render
from deploy.local import wheels
from deploy.local.ports import LOOPBACK, reserved_ports
from gateway.openai import LONGEST_SECONDS
from services.auth.domain import ACCESS_LIFETIME
from services.runtime.server import SERVER_OPTIONS
from tests.certificates import put_certificates
from tests.deploy.envoy import GREET, NAMES, WATCH, OneOfTwo, Services, an_envoy, answers, code_of
from tests.deploy.rendered import PROJECT, pods
from tests.deploy.waiting import wait_until
from tests.serving import health


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


def rendered(**settings):
    """What Envoy reads, of addresses that nobody has."""
    addresses = dict.fromkeys(NAMES[1:], "127.0.0.1:1")
    return yaml.safe_load(render(**{"listen": "127.0.0.1:2", **addresses, **settings}))["static_resources"]


def services():
    """The clusters of services; the other one is Envoy itself."""
    return [each for each in rendered()["clusters"] if each["type"] == "STRICT_DNS"]


def connection_manager(resources):
    (chain,) = resources["listeners"][0]["filter_chains"]
    return chain["filters"][0]["typed_config"]


def seconds(duration):
    return float(duration.removesuffix("s"))


def test_a_quiet_stream_may_live_as_long_as_its_token_and_as_the_openai_door_waits():
    quiet = seconds(connection_manager(rendered())["stream_idle_timeout"])
    assert quiet > max(LONGEST_SECONDS, ACCESS_LIFETIME.total_seconds())


def test_who_is_no_longer_in_dns_leaves_though_it_is_well():
    """A pod that ends still answers health checks for a while; an address may by then be somebody else's."""
    for cluster in services():
        assert "health_checks" in cluster
        assert cluster["ignore_health_on_host_removal"] is True


def test_a_service_that_vanished_is_missed_and_one_that_is_there_takes_no_offence():
    shortest = dict(SERVER_OPTIONS)["grpc.http2.min_ping_interval_without_data_ms"] / 1000
    for cluster in services():
        (options,) = cluster["typed_extension_protocol_options"].values()
        if "http2_protocol_options" in options["explicit_http_config"]:
            keepalive = options["explicit_http_config"]["http2_protocol_options"]["connection_keepalive"]
            assert shortest < seconds(keepalive["interval"]) <= 10


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


@pytest.mark.parametrize(("method", "body"), [("GET", b""), ("POST", b""), ("POST", b"x" * 2**20)])
def test_what_never_reached_a_replica_goes_to_the_other_whatever_its_method_and_length(tmp_path, method, body):
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
                        return rest.request(method, "/who", content=body).raise_for_status().json()["answered_by"]

                for each in replicas:
                    wait_until(lambda each=each: answered_by() == str(each.server_address[1]))
                gone.shutdown()
                gone.server_close()  # Envoy finds out when it asks for the second time, in a second or two
                heard = {
                    rest.request(method, "/who", content=body).raise_for_status().json()["answered_by"]
                    for _ in range(20)
                }
                assert heard == {str(other.server_address[1])}
        finally:
            for each in replicas:
                each.shutdown()
                each.server_close()
