"""A service that asks a real auth whose tokens count: keys, revocations, and what holds while auth is away."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.generation.v1 import generation_service_pb2 as pb
from imagegen.generation.v1 import generation_service_pb2_grpc, task_pb2

from services.auth.__main__ import main
from services.runtime.authority import RemoteAuthority
from services.runtime.calls import person
from services.runtime.channels import Peer
from services.runtime.errors import ErrorTable
from services.runtime.server import Server
from tests.auth.conftest import SOON, World, bearer, until_refused, world
from tests.grpc_errors import reason
from tests.identities import Metadata, identity, verifier
from tests.serving import running
from tests.tcp_proxy import TcpProxy

__all__ = ["world"]

TASK = "01890000-0000-7000-8000-000000000000"
SERVICE = pb.DESCRIPTOR.services_by_name["GenerationService"]


class Servicer(generation_service_pb2_grpc.GenerationServiceServicer):
    """GetTask answers who asked; WatchTask goes on for ever."""

    def GetTask(self, request, context):
        return pb.GetTaskResponse(task=task_pb2.Task(id=str(person().user_id)))

    async def WatchTask(self, request, context):
        yield pb.WatchTaskResponse(cursor="first")
        await asyncio.Event().wait()


@dataclass
class Elsewhere:
    """Another service, and the way from it to auth."""

    stub: generation_service_pb2_grpc.GenerationServiceStub
    way: TcpProxy

    def get(self, metadata: Metadata) -> str:
        """Who asked."""
        return self.stub.GetTask(pb.GetTaskRequest(task_id=TASK), metadata=metadata, timeout=10).task.id

    def refused(self, metadata: Metadata) -> str:
        with pytest.raises(grpc.RpcError) as caught:
            self.get(metadata)
        return reason(caught.value)

    def watch(self, metadata: Metadata) -> Iterator[pb.WatchTaskResponse]:
        call = self.stub.WatchTask(pb.WatchTaskRequest(task_id=TASK), metadata=metadata, timeout=30)
        assert next(call).cursor == "first"
        return call


@contextmanager
def serving(auth_address: str) -> Iterator[Elsewhere]:
    with ExitStack() as cleaning:
        way = cleaning.enter_context(TcpProxy(auth_address))
        authority = RemoteAuthority(way.address, Peer(identity("generation"), "auth"))
        server = Server(
            [SERVICE],
            lambda server: generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(Servicer(), server),
            verifier=verifier("generation", authority),
            errors=ErrorTable("generation.imagegen", None, {}),
            threads=2,
        )
        address = cleaning.enter_context(running(server))
        channel = cleaning.enter_context(grpc.insecure_channel(address))
        yield Elsewhere(generation_service_pb2_grpc.GenerationServiceStub(channel), way)


@pytest.fixture
def elsewhere(world: World) -> Iterator[Elsewhere]:
    with serving(world.address) as service:
        yield service


def by_key(secret: str) -> Metadata:
    return (("authorization", f"Bearer {secret}"),)


def exchanges(world: World) -> list[object]:
    return world.sql("SELECT last_used_at FROM api_keys")


def ends_within_a_second(stream: Iterator[object], end: Callable[[], object]) -> str:
    """The reason that the stream ends for."""
    end()
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert time.monotonic() - began < SOON
    return reason(caught.value)


def test_a_key_is_accepted_wherever_a_token_is_and_exchanged_once(world, elsewhere):
    user = world.register("ada")
    secret = world.new_key(world.login("ada"), "read").secret

    assert elsewhere.get(by_key(secret)) == user.id
    once = exchanges(world)
    assert [elsewhere.get(by_key(secret)) for _ in range(5)] == [user.id] * 5
    assert exchanges(world) == once


def test_a_key_is_good_for_its_scopes_alone(world, elsewhere):
    secret = world.new_key(world.signed_in(), "generate").secret

    assert elsewhere.refused(by_key(secret)) == "SCOPE_MISSING"


def test_a_key_that_is_not_good_is_refused_with_its_reason(world, elsewhere):
    tokens = world.signed_in()
    revoked, expired = world.new_key(tokens), world.new_key(tokens, expires_in=Duration(seconds=60))
    world.revoke_key(tokens, revoked.api_key.id)
    world.clock.advance(minutes=2)

    assert elsewhere.refused(by_key("igk_nobody")) == "TOKEN_INVALID"
    assert elsewhere.refused(by_key(revoked.secret)) == "TOKEN_REVOKED"
    assert elsewhere.refused(by_key(expired.secret)) == "TOKEN_EXPIRED"


def test_a_revoked_key_that_is_known_is_refused_within_a_second(world, elsewhere):
    tokens = world.signed_in()
    made = world.new_key(tokens, "read")
    elsewhere.get(by_key(made.secret))

    world.revoke_key(tokens, made.api_key.id)

    assert until_refused(partial(elsewhere.get, by_key(made.secret))) == "TOKEN_REVOKED"


@pytest.mark.parametrize("how", ["logout", "everywhere", "by another session", "new password", "deletion"])
def test_an_ended_session_is_refused_within_a_second_open_streams_included(world, elsewhere, how):
    world.register("ada")
    tokens, other = world.login("ada"), world.login("ada")
    [session] = [session.id for session in world.sessions(tokens) if session.is_current]
    everywhere = partial(world.stub.LogoutEverywhere, auth.LogoutEverywhereRequest(), metadata=bearer(other))
    one = partial(world.stub.EndSession, auth.EndSessionRequest(session_id=session), metadata=bearer(other))
    ends = {
        "logout": partial(world.logout, tokens.refresh_token),
        "everywhere": everywhere,
        "by another session": one,
        "new password": partial(world.change_password, other, "correct horse battery staple", "another horse"),
        "deletion": partial(world.delete_me, other),
    }

    assert ends_within_a_second(elsewhere.watch(bearer(tokens)), ends[how]) == "TOKEN_REVOKED"
    assert elsewhere.refused(bearer(tokens)) == "TOKEN_REVOKED"


def test_a_revoked_key_ends_its_open_streams_within_a_second(world, elsewhere):
    tokens = world.signed_in()
    made = world.new_key(tokens, "read")
    stream = elsewhere.watch(by_key(made.secret))

    assert ends_within_a_second(stream, partial(world.revoke_key, tokens, made.api_key.id)) == "TOKEN_REVOKED"


def test_what_another_replica_ends_is_refused_here_within_a_second(world):
    tokens = world.signed_in()
    with world.serving() as other, serving(other) as service:
        stream = service.watch(bearer(tokens))

        assert ends_within_a_second(stream, partial(world.logout, tokens.refresh_token)) == "TOKEN_REVOKED"


def test_a_service_that_starts_late_knows_what_was_revoked_before(world):
    tokens = world.signed_in()
    world.logout(tokens.refresh_token)
    until_refused(partial(world.me, tokens))
    with serving(world.address) as service:
        assert until_refused(partial(service.get, bearer(tokens))) == "TOKEN_REVOKED"


def test_while_auth_is_away_what_is_known_holds(world, elsewhere):
    user = world.register("ada")
    tokens, ended = world.login("ada"), world.login("ada")
    secret, unknown = world.new_key(tokens, "read").secret, world.new_key(tokens, "read").secret
    assert elsewhere.get(by_key(secret)) == user.id
    world.logout(ended.refresh_token)
    until_refused(partial(elsewhere.get, bearer(ended)))

    elsewhere.way.drop()

    assert elsewhere.get(bearer(tokens)) == user.id
    assert elsewhere.get(by_key(secret)) == user.id
    assert elsewhere.refused(bearer(ended)) == "TOKEN_REVOKED"
    assert elsewhere.refused(by_key(unknown)) == "DEPENDENCY_UNAVAILABLE"
    elsewhere.way.pass_on()
    assert elsewhere.get(by_key(unknown)) == user.id


def test_what_was_revoked_while_auth_was_away_is_heard_of_afterwards(world, elsewhere):
    tokens = world.signed_in()
    stream = elsewhere.watch(bearer(tokens))
    elsewhere.way.drop()
    world.logout(tokens.refresh_token)

    elsewhere.way.pass_on()

    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert reason(caught.value) == "TOKEN_REVOKED"


def test_a_new_signing_key_signs_nobody_out(world, elsewhere, monkeypatch):
    user = world.register("ada")
    before = world.login("ada")
    secret = world.new_key(before, "read").secret
    stream = elsewhere.watch(bearer(before))
    elsewhere.get(by_key(secret))
    monkeypatch.setenv("AUTH_DATABASE_URL", world.url)
    monkeypatch.setenv("AUTH_ENCRYPTION_KEYS", world.fernet_key.decode())

    assert main(["keys", "rotate-signing"]) == 0
    after = world.refresh(before.refresh_token)

    for metadata in (bearer(before), bearer(after), by_key(secret)):
        assert elsewhere.get(metadata) == user.id
    assert ends_within_a_second(stream, partial(world.logout, after.refresh_token)) == "TOKEN_REVOKED"
