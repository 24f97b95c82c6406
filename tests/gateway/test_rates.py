"""How many requests anybody may make, counted in a real Valkey."""

import asyncio
import re
import socket
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from grpc import StatusCode
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.generation.v1 import generation_service_pb2 as generation
from imagegen.results.v1 import results_service_pb2 as results
from structlog.testing import capture_logs

from deploy.local.ports import reserved_ports
from gateway import rates
from gateway.share_page.texts import NOTICES
from tests.gateway.builders import a_picture, a_user, refused
from tests.gateway.gateways import serving
from tests.gateway.neighbours import Refusal
from tests.identities import TestAuthority, access_token
from tests.valkey_process import ValkeyProcess

ME = "/api/v1/auth/me"
MODELS = "/api/v1/models"


@pytest.fixture
def limited(served, behind, redis_url, monkeypatch):
    """A client of a gateway of its own, which lets a user ask five times a minute and an address three times.

    It has time: on a busy machine a server may wait longer for its turn than a request should wait for the server.
    """
    monkeypatch.setattr(rates, "REDIS_SECONDS", 20)
    behind.auth.answers["GetMe"] = auth.GetMeResponse(user=a_user())
    behind.generation.answers["ListModels"] = generation.ListModelsResponse()

    @contextmanager
    def run(redis_url=redis_url, authority=None, **settings):
        settings = {"rate_limit_per_user": 5, "rate_limit_per_address": 3, **settings}
        with (
            serving(served[1], authority, REDIS_URL=redis_url, **settings) as gateway,
            httpx.Client(base_url=gateway.origin, timeout=20) as client,
        ):
            yield client

    return run


def signed_in(**claimed):
    return {"authorization": f"Bearer {access_token(**claimed)}"}


def remaining(response):
    return int(re.search(r";r=(\d+)", response.headers["ratelimit"])[1])


def test_every_answer_says_how_much_is_left(limited):
    with limited() as client:
        person = signed_in(user_id=uuid4())
        first, second = (client.get(ME, headers=person) for _ in range(2))
        assert first.headers["ratelimit-policy"] == '"user";q=5;w=60'
        assert re.fullmatch(r'"user";r=4;t=(59|60)', first.headers["ratelimit"])
        assert remaining(second) == 3
        missing = client.get("/api/v1/nothing", headers=person)
        assert (missing.status_code, remaining(missing)) == (404, 2)


def test_who_has_asked_too_often_is_refused_and_told_when_to_come_back(limited, behind):
    with limited() as client:
        person = signed_in(user_id=uuid4())
        assert {client.get(ME, headers=person).status_code for _ in range(5)} == {200}
        response = client.get(ME, headers=person)
        refused(response, 429, "rate_limited")
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert f";r=0;t={response.headers['retry-after']}" in response.headers["ratelimit"]
        assert len(behind.auth.asked) == 5


def test_a_burst_passes_no_more_than_its_quota(limited):
    person = signed_in(user_id=uuid4())

    async def burst(origin):
        async with httpx.AsyncClient(base_url=origin, headers=person, timeout=60) as client:
            return await asyncio.gather(*(client.get(ME) for _ in range(100)))

    with limited() as client:
        codes = Counter(response.status_code for response in asyncio.run(burst(client.base_url)))
    assert codes == {200: 5, 429: 95}


def test_a_quota_is_a_users_own_from_wherever_the_requests_come(limited):
    with limited() as client:
        ada, bob = signed_in(user_id=uuid4()), signed_in(user_id=uuid4())
        for number in range(3):
            client.get(ME, headers={**ada, "x-forwarded-for": f"203.0.113.{number}"})
        assert remaining(client.get(ME, headers=ada)) == 1
        assert remaining(client.get(ME, headers=bob)) == 4


def test_two_sessions_and_a_key_of_a_user_share_the_quota(limited):
    authority, user_id = TestAuthority(), uuid4()
    authority.keys["igk_key"] = access_token(user_id, scope="read")
    with limited(authority=authority) as client:
        client.get(ME, headers=signed_in(user_id=user_id))
        client.get(ME, headers=signed_in(user_id=user_id))
        response = client.get(ME, headers={"authorization": "Bearer igk_key"})
        assert remaining(response) == 2


def test_replicas_count_together(limited):
    person = signed_in(user_id=uuid4())
    with limited() as one, limited() as other:
        one.get(ME, headers=person)
        assert remaining(other.get(ME, headers=person)) == 3


def test_who_sends_no_token_is_counted_by_the_address_that_envoy_saw(limited):
    with limited() as client:
        for invented in ("198.51.100.1", "198.51.100.2", "unknown"):
            response = client.get(MODELS, headers={"x-forwarded-for": f"{invented}, 203.0.113.9"})
            assert response.headers["ratelimit-policy"] == '"address";q=3;w=60'
        refused(client.get(MODELS, headers={"x-forwarded-for": "203.0.113.9"}), 429, "rate_limited")
        assert client.get(MODELS, headers={"x-forwarded-for": "203.0.113.10"}).status_code == 200
        assert client.get(MODELS).status_code == 200


def test_a_network_of_ipv6_is_one_client(limited):
    with limited() as client:
        client.get(MODELS, headers={"x-forwarded-for": "2001:db8:1:2::1"})
        assert remaining(client.get(MODELS, headers={"x-forwarded-for": "2001:db8:1:2:ffff::2"})) == 1
        assert remaining(client.get(MODELS, headers={"x-forwarded-for": "2001:db8:1:3::1"})) == 2


@pytest.mark.parametrize("kind", ["garbage", "expired", "revoked", "of another audience", "unknown key", "basic"])
def test_a_token_that_counts_no_longer_takes_from_the_addresss_quota(limited, kind):
    authority, sid = TestAuthority(), uuid4()
    authority.revocations.add({sid: datetime.now(UTC) + timedelta(hours=1)})
    token = {
        "garbage": "Bearer x.y.z",
        "expired": f"Bearer {access_token(expires_in=-1)}",
        "revoked": f"Bearer {access_token(sid=sid)}",
        "of another audience": f"Bearer {access_token(audience='elsewhere')}",
        "unknown key": "Bearer igk_unknown",
        "basic": "Basic dTpw",
    }[kind]
    with limited(authority=authority) as client:
        response = client.get(MODELS, headers={"authorization": token})
        assert response.headers["ratelimit-policy"] == '"address";q=3;w=60'


@pytest.mark.parametrize(
    "path",
    ["/docs", "/openapi.json", "/reference/docs.js", "/healthz", "/readyz", "/problems", "/.well-known/jwks.json"],
)
def test_what_a_page_or_a_probe_loads_is_not_counted(limited, behind, path):
    behind.auth.answers["GetJwks"] = auth.GetJwksResponse()
    with limited() as client:
        responses = [client.get(path) for _ in range(4)]
    assert {response.status_code for response in responses} == {200}
    assert not any("ratelimit" in response.headers for response in responses)


def test_pictures_that_links_open_are_not_counted(limited, behind):
    part = results.DownloadResultResponse
    behind.results.answers["DownloadResult"] = [part(picture=a_picture()), part(chunk=b"abcdef")]
    with limited() as client:
        path = f"/api/v1/results/{uuid4()}/image"
        assert "ratelimit" not in client.get(path, params={"expires": 1, "signature": "x"}).headers
        assert remaining(client.get(path)) == 2
        assert remaining(client.get("/api/v1/nothing/image?signature=x")) == 1


def test_who_tries_tokens_of_share_links_is_stopped(limited, behind):
    unknown = Refusal(StatusCode.NOT_FOUND, "SHARE_NOT_FOUND")
    behind.results.answers |= {"OpenShare": unknown, "DownloadShare": unknown}
    with limited() as client:
        answers = [client.get(path) for path in ("/s/short", f"/s/{'a' * 43}/image", *[f"/s/{'b' * 43}"] * 2)]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    refused_page = answers[-1]
    assert refused_page.headers["content-type"] == "text/html; charset=utf-8"
    assert refused_page.headers["x-robots-tag"] == "noindex, nofollow"
    assert int(refused_page.headers["retry-after"]) > 50
    assert NOTICES["en"]["rate_limited"][0] in refused_page.text


def test_a_quota_of_zero_counts_nothing(limited):
    with limited(rate_limit_per_user=0, rate_limit_per_address=0) as client:
        assert "ratelimit" not in client.get(ME, headers=signed_in()).headers
        assert "ratelimit" not in client.get(MODELS).headers


def test_while_redis_is_away_everything_passes_and_the_log_says_so_once(limited, monkeypatch):
    monkeypatch.setattr(rates, "RETRY_SECONDS", 0.01)
    with (
        reserved_ports(["valkey"]) as ports,
        ValkeyProcess(ports["valkey"]) as valkey,
        capture_logs() as lines,
        limited(redis_url=valkey.url) as client,
    ):
        assert "ratelimit" in client.get(MODELS).headers
        valkey.kill()
        answers = [client.get(MODELS) for _ in range(10)]
        assert {answer.status_code for answer in answers} == {200}
        assert not any("ratelimit" in answer.headers for answer in answers)
        valkey.start()
        while "ratelimit" not in client.get(MODELS).headers:
            pass
    told = [line["event"] for line in lines if "counted" in line["event"]]
    assert told == ["requests are not counted: Redis is away", "requests are counted again"]


def test_a_redis_that_does_not_answer_is_waited_for_once_and_not_long(limited, monkeypatch):
    monkeypatch.setattr(rates, "REDIS_SECONDS", 0.1)
    monkeypatch.setattr(rates, "RETRY_SECONDS", 3600)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        capture_logs() as lines,
        limited(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}") as client,
    ):
        assert {client.get(MODELS).status_code for _ in range(5)} == {200}
    assert [line["kind"] for line in lines if "counted" in line["event"]] == ["TimeoutError"]
