from contextlib import closing

import pytest
from google.protobuf.duration_pb2 import Duration
from imagegen.auth.v1 import auth_service_pb2 as auth

from services.auth.sweeping import Sweep
from services.runtime.database import Database
from tests.auth.conftest import PASSWORD, refused


@pytest.fixture
def sweep(world):
    with closing(Database(world.url)) as database:
        yield Sweep(database, world.clock).look


def count(world, table: str) -> int:
    return world.sql(f"SELECT count(*) FROM {table}")[0][0]


def test_attempts_are_swept_once_they_are_made_up_for(world, sweep):
    for _ in range(3):
        with refused("UNAUTHENTICATED", "BAD_CREDENTIALS"):
            world.login("ada")
    sweep()
    assert count(world, "attempts") == 2

    world.clock.advance(minutes=3)
    sweep()

    assert count(world, "attempts") == 0


def test_revocations_are_swept_once_their_tokens_have_expired(world, sweep):
    world.logout(world.signed_in().refresh_token)
    world.clock.advance(minutes=10)
    sweep()
    assert count(world, "revocations") == 1

    world.clock.advance(minutes=1)
    sweep()

    assert count(world, "revocations") == 0


def test_keys_are_swept_thirty_days_after_they_were_good(world, sweep):
    tokens = world.signed_in()
    world.new_key(tokens, name="stays")
    world.new_key(tokens, name="expires", expires_in=Duration(seconds=60))
    world.revoke_key(tokens, world.new_key(tokens, name="revoked").api_key.id)
    world.clock.advance(days=29)
    sweep()
    assert count(world, "api_keys") == 3

    world.clock.advance(days=1, minutes=1)
    sweep()

    assert world.sql("SELECT name FROM api_keys") == [("stays",)]


def test_a_registration_can_be_repeated_for_two_days(world, sweep):
    request = auth.RegisterRequest(username="ada", email="a@b.org", password=PASSWORD, request_id="r1")
    world.stub.Register(request)
    world.clock.advance(hours=47)
    sweep()
    assert world.stub.Register(request).replayed

    world.clock.advance(hours=1)
    sweep()

    with refused("ALREADY_EXISTS", "USERNAME_TAKEN", "username"):
        world.stub.Register(request)


def test_signing_keys_are_swept_once_they_are_listed_no_longer(world, sweep):
    with closing(Database(world.url)) as database:
        world.signing_keys(database).rotate()
    world.clock.advance(minutes=10)
    sweep()
    assert count(world, "signing_keys") == 2

    world.clock.advance(minutes=2)
    sweep()

    assert [key.kid for key in world.jwks()] == [str(world.sql("SELECT id FROM signing_keys")[0][0])]
