"""A context that pulls deleted accounts from a real auth."""

from collections.abc import Callable
from uuid import UUID

import grpc
import pytest
from imagegen.auth.v1 import identity_service_pb2 as pb

from services.runtime.channels import Peer
from services.runtime.erasures import Erasures, owner_hash
from tests.auth.conftest import World, world
from tests.identities import as_service, identity

__all__ = ["world"]


def looking(channel: grpc.Channel, context: str, erase: Callable[[UUID], bool]) -> Erasures:
    return Erasures(channel, Peer(identity(context), "auth"), erase)


def listed(world: World, context: str) -> list[str]:
    request = pb.ListErasuresRequest()
    return list(world.identity.ListErasures(request, metadata=as_service(context, "auth")).user_ids)


@pytest.fixture
def channel(world):
    with grpc.insecure_channel(world.address) as it:
        yield it


@pytest.fixture
def deleted(world) -> UUID:
    user = world.register()
    world.delete_me(world.login(user.username))
    return UUID(user.id)


def test_an_account_is_listed_until_nothing_of_it_is_left(world, channel, deleted):
    answers = iter([False, False, True])
    asked = []

    def erase(user_id: UUID) -> bool:
        asked.append(user_id)
        return next(answers)

    erasures = looking(channel, "generation", erase)
    for _ in range(4):
        erasures.look()

    assert asked == [deleted] * 3
    assert listed(world, "generation") == []
    assert listed(world, "executor") == [str(deleted)]


def test_the_id_is_gone_once_all_three_have_erased(world, channel, deleted):
    for context in ("generation", "executor", "results"):
        looking(channel, context, lambda _: True).look()

    assert world.sql("SELECT user_id FROM erasures") == [(None,)]


def test_what_is_kept_of_an_owner_does_not_tell_the_id(deleted):
    kept = owner_hash(deleted)

    assert len(kept) == 32
    assert deleted.bytes not in kept
    assert kept == owner_hash(deleted)
