from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from threading import Event
from uuid import UUID

import jwt
import pytest
from cryptography.fernet import Fernet

from services.auth.domain import SIGNING_KEY_LINGER
from services.runtime.database import Database
from tests.auth.conftest import Clock

RETIRE = "UPDATE signing_keys SET retired_at = now() WHERE retired_at IS NULL"


@pytest.fixture
def database(world):
    with closing(Database(world.url)) as it:
        yield it


def decoded(world, access_token: str) -> dict:
    """By anybody who knows the listed keys and RFC 8037, and nothing of ours."""
    kid = jwt.get_unverified_header(access_token)["kid"]
    [listed] = [key for key in world.jwks() if key.kid == kid]
    key = jwt.PyJWK({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": listed.x})
    return jwt.decode(access_token, key, ["EdDSA"], audience="imagegen", issuer="imagegen")


def test_an_access_token_says_who_and_which_session_and_verifies_with_the_listed_keys(world):
    user = world.register("ada")
    tokens = world.login("ada")
    [(session_id,)] = world.sql("SELECT id FROM sessions")

    claims = decoded(world, tokens.access_token)

    assert set(claims) == {"iss", "aud", "sub", "sid", "iat", "exp", "jti", "role"}
    assert (claims["sub"], claims["sid"], claims["role"]) == (user.id, str(session_id), "user")
    assert claims["exp"] - claims["iat"] == 600


def test_every_access_token_has_an_id_of_its_own(world):
    tokens = world.signed_in()
    others = [world.refresh(tokens.refresh_token) for _ in range(3)]

    assert len({UUID(decoded(world, it.access_token)["jti"]) for it in [tokens, *others]}) == 4


def test_replicas_that_start_at_once_make_one_key_between_them(world, database):
    world.sql("DELETE FROM signing_keys")
    making, may_go_on = Event(), Event()

    def slow_clock():
        making.set()
        may_go_on.wait(10)
        return world.clock()

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(world.signing_keys(database, clock=slow_clock).prepare)
        making.wait(10)
        second = threads.submit(world.signing_keys(database).prepare)
        world.until_it_waits_for_a_lock(second)
        may_go_on.set()
        first.result(10)
        second.result(10)

    assert world.sql("SELECT count(*) FROM signing_keys") == [(1,)]


def test_a_restart_keeps_the_key(world, database):
    before = world.jwks()

    world.signing_keys(database).prepare()

    assert world.jwks() == before


def test_the_private_key_is_readable_only_with_the_encryption_key(world, database):
    [(kept,)] = world.sql("SELECT private_key_encrypted FROM signing_keys")
    assert len(Fernet(world.fernet_key).decrypt(bytes(kept))) == 32

    with pytest.raises(ValueError, match="none of the encryption keys"):
        world.signing_keys(database, Fernet.generate_key()).prepare()


def test_a_new_encryption_key_before_the_old_one_keeps_the_signing_key(world, database):
    before = world.jwks()

    world.signing_keys(database, Fernet.generate_key(), world.fernet_key).prepare()

    assert world.jwks() == before


def test_a_key_that_another_replica_makes_counts_at_once(world, database):
    old = world.signed_in()
    [before] = world.jwks()

    world.sql(RETIRE)
    world.signing_keys(database).prepare()
    new = world.signed_in()

    assert [key.kid for key in world.jwks()][1:] == [before.kid]
    assert jwt.get_unverified_header(new.access_token)["kid"] != before.kid
    assert world.me(old)
    assert world.me(new)


def test_a_retired_key_is_listed_for_as_long_as_its_tokens_are_good(world, database):
    world.sql(RETIRE)
    world.signing_keys(database).prepare()

    world.clock.advance(minutes=10)
    assert len(world.jwks()) == 2
    world.clock.ahead = SIGNING_KEY_LINGER + timedelta(seconds=1)
    assert len(world.jwks()) == 1


def test_replicas_verify_each_others_tokens(world):
    with world.replica(clock=Clock()) as other:
        tokens = world.signed_in()
        world.stub = other

        assert world.me(tokens)
