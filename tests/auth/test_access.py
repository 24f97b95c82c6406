"""Who may call what."""

import pytest
from imagegen.auth.v1 import auth_service_pb2 as auth

from tests.auth.conftest import PASSWORD, bearer, refused
from tests.identities import as_person, as_service

MISSING = ("UNAUTHENTICATED", "TOKEN_MISSING")
INVALID = ("UNAUTHENTICATED", "TOKEN_INVALID")
EXPIRED = ("UNAUTHENTICATED", "TOKEN_EXPIRED")
NOT_ALLOWED = ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")

FOR_EVERYBODY = {
    "Register": auth.RegisterRequest(username="ada", email="ada@example.org", password=PASSWORD),
    "Login": auth.LoginRequest(username="ada", password=PASSWORD),
    "Refresh": auth.RefreshRequest(refresh_token="x"),
    "Logout": auth.LogoutRequest(refresh_token="x"),
    "GetJwks": auth.GetJwksRequest(),
}
FOR_PEOPLE = {"GetMe": auth.GetMeRequest(), "UpdateMe": auth.UpdateMeRequest()}
REQUESTS = FOR_EVERYBODY | FOR_PEOPLE


def call(world, method, metadata):
    return getattr(world.stub, method)(REQUESTS[method], metadata=metadata)


@pytest.mark.parametrize("method", REQUESTS)
@pytest.mark.parametrize(
    ("metadata", "answer"),
    [
        ((("authorization", "Bearer nonsense"),), INVALID),
        (as_person(), INVALID),
        (as_service("worker", "results"), INVALID),
    ],
    ids=["nonsense", "a key of somebody else", "a service that calls results"],
)
def test_a_token_that_is_sent_must_be_good_here(world, method, metadata, answer):
    with refused(*answer):
        call(world, method, metadata)


@pytest.mark.parametrize("method", REQUESTS)
def test_an_access_token_is_good_for_ten_minutes(world, method):
    world.clock.advance(minutes=-10)
    tokens = world.signed_in()

    with refused(*EXPIRED):
        call(world, method, bearer(tokens))


@pytest.mark.parametrize("method", FOR_PEOPLE)
def test_an_account_is_not_for_the_anonymous(world, method):
    with refused(*MISSING):
        call(world, method, ())


@pytest.mark.parametrize("method", FOR_PEOPLE)
def test_an_account_is_not_for_services(world, method):
    with refused(*NOT_ALLOWED):
        call(world, method, as_service("gateway", "auth"))


def test_a_service_has_no_session_to_log_out_of(world):
    with refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        world.logout(metadata=as_service("gateway", "auth"))


def test_a_replica_whose_clock_is_ahead_signs_tokens_that_are_good_at_once(world):
    world.clock.advance(seconds=2)

    assert world.me(world.signed_in())
