"""What the door lets nobody do to it: ask too often, open too many streams, keep it waiting."""

import socket
import struct

import grpc
import pytest
import yaml

from tests.deploy.envoy import GREET, assert_is_a_problem, before_a_gateway
from tests.deploy.test_envoy_configuration import connection_manager, rendered, rendered_in_the_pod, seconds

BURST = 4
"""Times the rate that is given."""


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Of an Envoy that lets each address ask once a second, and believes whom a request is said to be from."""
    with before_a_gateway(tmp_path_factory.mktemp("envoy"), rate_limit=1, trusted_hops=1) as client:
        yield client


def ask(client, address):
    return client.get("/api/v1/x", headers={"x-forwarded-for": address})


def refusal(client, *addresses):
    """The first one, when these ask in turn."""
    answers = (ask(client, addresses[number % len(addresses)]) for number in range(1000))
    return next(answer for answer in answers if not answer.is_success)


def test_who_asks_too_often_is_refused_just_as_the_gateway_refuses(client):
    assert [ask(client, "203.0.113.1").status_code for _ in range(BURST)] == [200] * BURST
    answer = refusal(client, "203.0.113.1")
    assert_is_a_problem(answer, "rate_limited")
    assert answer.headers["retry-after"] == "1"


def test_one_address_takes_nothing_from_another(client):
    refusal(client, "203.0.113.2")
    assert ask(client, "203.0.113.3").is_success


def test_the_addresses_of_one_household_are_one(client):
    """By IPv6 it has 2⁶⁴ of them, and the gateway counts likewise."""
    assert refusal(client, *(f"2001:db8:1:2::{number:x}" for number in range(1, 1001))).status_code == 429
    assert ask(client, "2001:db8:1:3::1").is_success


def test_a_grpc_caller_hears_that_it_is_too_much(client):
    with grpc.insecure_channel(client.base_url.netloc.decode()) as channel:
        greet = channel.unary_unary(GREET)
        for _ in range(1000):
            with pytest.raises(grpc.RpcError) as failure:  # nobody is behind this Envoy
                greet(b"", timeout=5, metadata=[("x-forwarded-for", "203.0.113.4")])
            if failure.value.code() != grpc.StatusCode.UNAVAILABLE:
                break
        assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_without_a_rate_nobody_is_counted(tmp_path):
    with before_a_gateway(tmp_path) as client:
        assert {ask(client, "203.0.113.1").status_code for _ in range(100)} == {200}


def test_the_cluster_has_a_rate_that_several_people_behind_one_address_can_live_with(tmp_path):
    config = yaml.safe_load(rendered_in_the_pod(tmp_path).read_text())["static_resources"]
    (limit,) = (each for each in connection_manager(config)["http_filters"] if each["name"].endswith("ratelimit"))
    (descriptor,) = limit["typed_config"]["descriptors"]
    assert limit["disabled"] is False
    assert descriptor["token_bucket"] == {"max_tokens": 400, "tokens_per_fill": 100, "fill_interval": "1s"}


def settings_of_http2(address):
    """What a server says first of itself (RFC 9113 §6.5)."""
    with socket.create_connection(address) as connection, connection.makefile("rwb") as stream:
        stream.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
        stream.flush()
        length = int.from_bytes(stream.read(9)[:3])
        return dict(struct.iter_unpack(">HI", stream.read(length)))


def test_a_connection_has_room_for_a_hundred_streams_and_not_for_any_number(client):
    max_concurrent_streams = 3
    address = (client.base_url.host, client.base_url.port)
    assert settings_of_http2(address)[max_concurrent_streams] == 128


def test_nobody_keeps_it_waiting_for_headers_or_fills_its_memory():
    resources = rendered()
    assert seconds(connection_manager(resources)["request_headers_timeout"]) == 10
    connections = 16384
    for each in [resources["listeners"][0], *resources["clusters"]]:
        assert each["per_connection_buffer_limit_bytes"] * connections <= 512 * 2**20
