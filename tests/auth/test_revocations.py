"""What WatchRevocations tells, and how soon an ended token is refused by auth itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from functools import partial

import grpc
import sqlalchemy as sa
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.auth.v1 import auth_service_pb2_grpc, identity_service_pb2_grpc
from imagegen.auth.v1 import identity_service_pb2 as pb

from services.auth.domain import REVOCATION_LIFETIME
from tests.auth.conftest import SOON, bearer, until_refused
from tests.identities import as_service
from tests.tcp_proxy import TcpProxy


@contextmanager
def watching(world, address: str = "") -> Iterator[Iterator[pb.WatchRevocationsResponse]]:
    with grpc.insecure_channel(address or world.address) as channel:
        stub = identity_service_pb2_grpc.IdentityServiceStub(channel)
        request = pb.WatchRevocationsRequest()
        call = stub.WatchRevocations(request, metadata=as_service("results", "auth"), timeout=30)
        yield call
        call.cancel()


def sids(message: pb.WatchRevocationsResponse) -> set[str]:
    return {one.sid for one in message.revocations}


def ended(world) -> str:
    """The id of a session that has been opened and ended."""
    tokens = world.signed_in()
    [session] = world.sessions(tokens)
    world.logout(tokens.refresh_token)
    return session.id


def test_the_first_message_has_all_that_matter_and_may_be_empty(world):
    with watching(world) as messages:
        assert sids(next(messages)) == set()
        first = ended(world)
        assert sids(next(messages)) == {first}
        second = ended(world)
        assert sids(next(messages)) == {second}
    with watching(world) as messages:
        assert sids(next(messages)) == {first, second}


def test_a_revocation_lasts_until_the_last_token_of_the_session_has_expired(world):
    before = world.clock()
    ended(world)
    with watching(world) as messages:
        [told] = next(messages).revocations or next(messages).revocations

    assert before < told.expire_time.ToDatetime(UTC) - REVOCATION_LIFETIME <= world.clock()


def test_what_another_replica_ends_is_told_within_a_second(world):
    with world.serving() as address, watching(world, address) as messages:
        next(messages)
        sid = ended(world)
        began = time.monotonic()
        assert sids(next(messages)) == {sid}
        assert time.monotonic() - began < SOON


def test_what_commits_late_is_told_all_the_same(world):
    with watching(world) as messages:
        next(messages)
        with world.engine.begin() as tx:
            tx.exec_driver_sql("INSERT INTO revocations VALUES (uuidv7(), now() + interval '11 minutes')")
            other = ended(world)
            assert sids(next(messages)) == {other}
        assert len(sids(next(messages))) == 1


def test_what_has_expired_is_told_no_more(world):
    ended(world)
    world.clock.advance(minutes=12)
    late = ended(world)
    with world.serving() as address, watching(world, address) as messages:
        assert sids(next(messages)) == {late}


def test_a_watch_outlives_an_outage_of_the_database(world):
    database = sa.make_url(world.url)
    server = f"{database.host}:{database.port}"
    with (
        TcpProxy(server) as proxy,
        world.serving(url=world.url.replace(server, proxy.address)) as address,
        watching(world, address) as messages,
        grpc.insecure_channel(address) as channel,
    ):
        next(messages)
        proxy.drop()
        calling = partial(
            auth_service_pb2_grpc.AuthServiceStub(channel).GetMe,
            auth.GetMeRequest(),
            metadata=bearer(world.signed_in()),
        )
        assert until_refused(calling) == "DEPENDENCY_UNAVAILABLE"
        sid = ended(world)
        proxy.pass_on()
        assert sids(next(messages)) == {sid}


def test_auth_itself_refuses_the_access_token_of_an_ended_session_within_a_second(world):
    tokens = world.signed_in()
    assert world.me(tokens)

    world.logout(tokens.refresh_token)

    assert until_refused(lambda: world.me(tokens)) == "TOKEN_REVOKED"
