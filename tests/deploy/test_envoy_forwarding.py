"""Whom the door says that a request came from, and by which scheme: proxies before it are believed, nobody else."""

import pytest

from tests.deploy.envoy import before_a_gateway

INVENTED = {"x-forwarded-for": "198.51.100.1, 203.0.113.9", "x-forwarded-proto": "https"}


def told(client, headers):
    answer = client.get("/api/v1/x", headers=headers).json()
    return answer["forwarded"], answer["scheme"]


def test_what_a_client_says_of_itself_is_replaced(tmp_path):
    with before_a_gateway(tmp_path) as client:
        assert told(client, INVENTED) == told(client, {}) == (["127.0.0.1"], "http")


@pytest.mark.parametrize(("hops", "address"), [(1, "203.0.113.9"), (2, "198.51.100.1")])
def test_behind_proxies_address_and_scheme_are_what_they_say(tmp_path, hops, address):
    with before_a_gateway(tmp_path, trusted_hops=hops) as client:
        assert told(client, INVENTED) == ([address], "https")


@pytest.mark.parametrize("forwarded", [{}, {"x-forwarded-for": "nobody"}])
def test_a_proxy_that_names_no_address_stands_for_its_callers(tmp_path, forwarded):
    with before_a_gateway(tmp_path, trusted_hops=1) as client:
        assert told(client, forwarded) == (["127.0.0.1"], "http")
