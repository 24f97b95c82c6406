"""Who may call what."""

from contextlib import nullcontext
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.auth.v1 import identity_service_pb2 as identity
from imagegen.runtime.v1 import access_pb2

from services.auth.domain import Role
from tests.auth.conftest import PASSWORD, bearer, refused, until_refused
from tests.identities import SERVICES, as_service

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
FOR_SESSIONS = {
    "UpdateMe": auth.UpdateMeRequest(),
    "DeleteMe": auth.DeleteMeRequest(password=PASSWORD),
    "ChangePassword": auth.ChangePasswordRequest(current_password=PASSWORD, new_password="something new"),
    "ListSessions": auth.ListSessionsRequest(),
    "EndSession": auth.EndSessionRequest(session_id=str(uuid4())),
    "LogoutEverywhere": auth.LogoutEverywhereRequest(),
    "CreateApiKey": auth.CreateApiKeyRequest(name="ci", scopes=[access_pb2.SCOPE_READ]),
    "ListApiKeys": auth.ListApiKeysRequest(),
    "RevokeApiKey": auth.RevokeApiKeyRequest(api_key_id=str(uuid4())),
}
FOR_PEOPLE = {"GetMe": auth.GetMeRequest(), **FOR_SESSIONS}
REQUESTS = FOR_EVERYBODY | FOR_PEOPLE
CALLERS = {
    "ExchangeApiKey": {"generation", "executor", "results", "gateway"},
    "WatchRevocations": {"generation", "executor", "results", "gateway"},
    "ListErasures": {"generation", "executor", "results"},
    "AcknowledgeErasure": {"generation", "executor", "results"},
}
FOR_SERVICES = {
    "ExchangeApiKey": identity.ExchangeApiKeyRequest(api_key="igk_x"),
    "WatchRevocations": identity.WatchRevocationsRequest(),
    "ListErasures": identity.ListErasuresRequest(),
    "AcknowledgeErasure": identity.AcknowledgeErasureRequest(user_id=str(uuid4())),
}


STRANGE = jwt.encode(
    {"sub": str(uuid4()), "sid": str(uuid4()), "aud": "imagegen", "exp": 4e9},
    Ed25519PrivateKey.generate(),
    "EdDSA",
    headers={"kid": "test"},
)


def call(world, method, metadata):
    if method in REQUESTS:
        return getattr(world.stub, method)(REQUESTS[method], metadata=metadata)
    answer = getattr(world.identity, method)(FOR_SERVICES[method], metadata=metadata, timeout=10)
    if method != "WatchRevocations":
        return answer
    first = next(answer)
    answer.cancel()
    return first


def test_every_rpc_is_called_here():
    rpcs = [
        *auth.DESCRIPTOR.services_by_name["AuthService"].methods,
        *identity.DESCRIPTOR.services_by_name["IdentityService"].methods,
    ]
    assert {rpc.name for rpc in rpcs} == REQUESTS.keys() | FOR_SERVICES.keys()


@pytest.mark.parametrize(
    ("metadata", "answer"),
    [
        ((("authorization", "Bearer nonsense"),), INVALID),
        ((("authorization", f"Bearer {STRANGE}"),), INVALID),
        (as_service("worker", "results"), INVALID),
        ((("authorization", "Bearer igk_nobody"),), INVALID),
    ],
    ids=["nonsense", "a key of nobody", "a service that calls results", "an API key of nobody"],
)
def test_a_token_that_is_sent_must_be_good_here(world, metadata, answer):
    for method in [*REQUESTS, *FOR_SERVICES]:
        with refused(*answer):
            call(world, method, metadata)


def test_an_access_token_is_good_for_ten_minutes(world):
    world.clock.advance(minutes=-10)
    tokens = world.signed_in()

    for method in REQUESTS:
        with refused(*EXPIRED):
            call(world, method, bearer(tokens))


def test_an_account_is_not_for_the_anonymous(world):
    for method in FOR_PEOPLE:
        with refused(*MISSING):
            call(world, method, ())


def test_an_account_is_not_for_services(world):
    for method in FOR_PEOPLE:
        with refused(*NOT_ALLOWED):
            call(world, method, as_service("gateway", "auth"))


def test_what_changes_an_account_is_not_for_its_keys(world):
    world.register("ada")
    world.set_role("ada", Role.OPERATOR)
    secret = world.new_key(world.login("ada"), "generate", "read", "share", "admin").secret

    for method in [*FOR_SESSIONS, "Logout"]:
        with refused("PERMISSION_DENIED", "SCOPE_MISSING"):
            call(world, method, (("authorization", f"Bearer {secret}"),))


def test_a_revoked_token_is_refused_even_where_none_is_needed(world):
    tokens = world.signed_in()
    world.logout(tokens.refresh_token)
    until_refused(lambda: world.me(tokens))

    for method in [*REQUESTS, "ExchangeApiKey"]:
        with refused("UNAUTHENTICATED", "TOKEN_REVOKED"):
            call(world, method, bearer(tokens))


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_calls_what_it_is_let_in_for(world, name):
    for method in FOR_SERVICES:
        if name in CALLERS[method]:
            with nullcontext() if method != "ExchangeApiKey" else refused(*INVALID):
                call(world, method, as_service(name, "auth"))
        else:
            with refused(*NOT_ALLOWED):
                call(world, method, as_service(name, "auth"))


def test_what_is_for_services_is_not_for_people_not_even_operators(world):
    world.register("ada")
    world.set_role("ada", Role.OPERATOR)

    for method in FOR_SERVICES:
        with refused(*MISSING):
            call(world, method, ())
        with refused(*NOT_ALLOWED):
            call(world, method, bearer(world.login("ada")))


def test_a_service_has_no_session_to_log_out_of(world):
    with refused("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"):
        world.logout(metadata=as_service("gateway", "auth"))


def test_a_replica_whose_clock_is_ahead_signs_tokens_that_are_good_at_once(world):
    world.clock.advance(seconds=2)

    assert world.me(world.signed_in())
