"""API keys: made, listed, exchanged, revoked."""

import hashlib
from datetime import UTC, timedelta
from functools import partial
from uuid import UUID, uuid4

import jwt
import pytest
from google.protobuf.duration_pb2 import Duration
from imagegen.auth.v1 import auth_service_pb2 as auth
from imagegen.runtime.v1 import access_pb2
from structlog.testing import capture_logs

from services.auth.domain import REVOCATION_LIFETIME, Role
from tests.auth.conftest import PASSWORD, at_once, bearer, refused

GENERATE, READ, ADMIN = access_pb2.SCOPE_GENERATE, access_pb2.SCOPE_READ, access_pb2.SCOPE_ADMIN
INVALID = ("UNAUTHENTICATED", "TOKEN_INVALID")
REVOKED = ("UNAUTHENTICATED", "TOKEN_REVOKED")
EXPIRED = ("UNAUTHENTICATED", "TOKEN_EXPIRED")
NOT_FOUND = ("NOT_FOUND", "API_KEY_NOT_FOUND")


def claims(exchanged) -> dict:
    return jwt.decode(exchanged.access_token, options={"verify_signature": False})


def by_key(secret: str):
    return (("authorization", f"Bearer {secret}"),)


def lasting(**time: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(**time))
    return duration


def test_a_key_is_shown_once_and_kept_as_a_hash(world):
    made = world.new_key(world.signed_in(), name="CI 🚀")

    assert made.secret.startswith("igk_")
    assert len(made.secret) == 4 + 43
    assert made.secret.startswith(made.api_key.prefix)
    assert UUID(made.api_key.id).version == 7
    assert not made.replayed
    [(kept,)] = world.sql("SELECT key_hash FROM api_keys")
    assert bytes(kept) == hashlib.sha256(made.secret.encode()).digest()
    assert world.sql("SELECT count(*) FROM api_keys WHERE CAST(api_keys AS text) LIKE :secret", secret=made.secret) == [
        (0,)
    ]


def test_a_person_sees_the_own_keys_newest_first_and_no_secret(world):
    mine, other = world.signed_in(), world.signed_in()
    first = world.new_key(mine, "read", name="first").api_key
    world.clock.advance(seconds=1)
    second = world.new_key(mine, "read", "generate", "share", name="second", expires_in=lasting(days=1)).api_key
    world.new_key(other)

    assert list(world.keys(mine)) == [second, first]
    assert list(second.scopes) == [GENERATE, READ, access_pb2.SCOPE_SHARE]
    assert second.expire_time.ToDatetime() - second.create_time.ToDatetime() == timedelta(days=1)
    assert not first.HasField("expire_time")
    assert not first.HasField("last_use_time")


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": [READ, READ]}, "scopes"),
        ({"scopes": [0]}, "scopes[0]"),
        ({"scopes": [99]}, "scopes[0]"),
        ({"scopes": [ADMIN]}, "scopes"),
        ({"expires_in": lasting(seconds=59)}, "expires_in"),
        ({"expires_in": lasting(days=1826)}, "expires_in"),
        ({"request_id": "x" * 129}, "request_id"),
        ({"request_id": "a\0"}, "request_id"),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(world, fields, named):
    tokens = world.signed_in()
    request = auth.CreateApiKeyRequest(**{"name": "ci", "scopes": [READ]} | fields)

    with refused("INVALID_ARGUMENT", "INVALID_FIELD", named):
        world.stub.CreateApiKey(request, metadata=bearer(tokens))


def test_a_key_is_exchanged_for_an_access_token_of_its_owner(world):
    user = world.register("ada")
    made = world.new_key(world.login("ada"), "generate", "read")

    exchanged = world.exchange(made.secret)

    said = claims(exchanged)
    assert (said["sub"], said["sid"], said["role"], said["scope"]) == (
        user.id,
        made.api_key.id,
        "user",
        "generate read",
    )
    assert said["exp"] - said["iat"] in (599, 600)
    assert said["exp"] - exchanged.expire_time.ToDatetime(UTC).timestamp() == 1


def test_a_token_lasts_no_longer_than_its_key(world):
    made = world.new_key(world.signed_in(), expires_in=lasting(minutes=2))
    key_expires = made.api_key.expire_time.ToDatetime(UTC).timestamp()

    assert 0 <= key_expires - claims(world.exchange(made.secret))["exp"] < 1
    world.clock.advance(minutes=2)
    with refused(*EXPIRED):
        world.exchange(made.secret)


def test_auth_itself_accepts_a_key_within_its_scopes(world):
    user = world.register("ada")
    tokens = world.login("ada")
    reads, generates = world.new_key(tokens, "read").secret, world.new_key(tokens, "generate").secret

    assert world.stub.GetMe(auth.GetMeRequest(), metadata=by_key(reads)).user == user
    with refused("PERMISSION_DENIED", "SCOPE_MISSING"):
        world.stub.GetMe(auth.GetMeRequest(), metadata=by_key(generates))
    with refused("PERMISSION_DENIED", "SCOPE_MISSING"):
        world.stub.ListApiKeys(auth.ListApiKeysRequest(), metadata=by_key(reads))
    with refused(*INVALID):
        world.stub.GetMe(auth.GetMeRequest(), metadata=by_key("igk_unknown"))


@pytest.mark.parametrize("unknown", ["igk_nobody", "nonsense", "é", "\0"])
def test_an_unknown_key_is_invalid(world, unknown):
    with refused(*INVALID):
        world.exchange(unknown)


def test_the_last_use_is_the_last_exchange(world):
    tokens = world.signed_in()
    made = world.new_key(tokens)
    world.clock.advance(hours=1)
    tokens = world.refresh(tokens.refresh_token)

    before = world.clock().replace(microsecond=0)
    world.exchange(made.secret)

    [key] = world.keys(tokens)
    assert before <= key.last_use_time.ToDatetime(UTC) <= world.clock()


def test_a_revoked_key_is_refused_and_its_tokens_are_revoked_with_it(world):
    tokens = world.signed_in()
    made = world.new_key(tokens)

    world.revoke_key(tokens, made.api_key.id)
    [once] = world.keys(tokens)
    world.clock.advance(seconds=1)
    world.revoke_key(tokens, made.api_key.id)

    assert list(world.keys(tokens)) == [once]
    assert once.HasField("revoke_time")
    with refused(*REVOKED):
        world.exchange(made.secret)
    assert world.sql(
        "SELECT sid::text, r.expires_at - revoked_at, r.xmin = k.xmin FROM revocations r JOIN api_keys k ON sid = id"
    ) == [(made.api_key.id, REVOCATION_LIFETIME, True)]


def test_nobody_revokes_the_key_of_somebody_else(world):
    mine, theirs = world.signed_in(), world.signed_in()
    made = world.new_key(theirs)

    for unknown in (made.api_key.id, str(uuid4())):
        with refused(*NOT_FOUND):
            world.revoke_key(mine, unknown)
    assert world.exchange(made.secret)


def test_a_repeated_request_gets_the_first_key_and_no_secret(world):
    tokens = world.signed_in()
    first = world.new_key(tokens, request_id="r1", expires_in=lasting(days=1))
    world.clock.advance(seconds=5)

    again = world.new_key(tokens, request_id="r1", expires_in=lasting(days=1))

    assert (again.api_key, again.secret, again.replayed) == (first.api_key, "", True)
    assert len(world.keys(tokens)) == 1


@pytest.mark.parametrize(
    "other", [{"name": "other"}, {"scopes": ["read"]}, {"expires_in": lasting(days=2)}, {"expires_in": None}]
)
def test_a_request_id_belongs_to_one_request(world, other):
    tokens = world.signed_in()
    same = {"name": "ci", "scopes": ["generate", "read"], "expires_in": lasting(days=1), "request_id": "r1"}
    world.new_key(tokens, *same["scopes"], **{k: v for k, v in same.items() if k != "scopes"})

    changed = same | other
    with refused("INVALID_ARGUMENT", "REQUEST_ID_REUSED"):
        world.new_key(tokens, *changed["scopes"], **{k: v for k, v in changed.items() if k != "scopes"})


def test_two_people_may_choose_the_same_request_id(world):
    assert not world.new_key(world.signed_in(), request_id="r1").replayed
    assert not world.new_key(world.signed_in(), request_id="r1").replayed


def test_many_duplicates_at_once_make_one_key_whose_secret_one_of_them_gets(world):
    tokens = world.signed_in()

    with world.replica() as other:
        call = {"metadata": bearer(tokens)}
        request = auth.CreateApiKeyRequest(name="ci", scopes=[READ], request_id="r1")
        answers = at_once([partial(s.CreateApiKey, request, **call) for s in [world.stub, other] for _ in range(25)])

    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 49
    assert [bool(answer.secret) for answer in answers].count(True) == 1
    assert len({answer.api_key.id for answer in answers}) == 1


def test_an_account_has_a_hundred_good_keys_and_no_more_even_at_once(world):
    tokens = world.signed_in()
    for _ in range(98):
        world.new_key(tokens)

    answers = at_once([partial(world.new_key, tokens)] * 8)

    assert [answer for answer in answers if isinstance(answer, str)] == ["TOO_MANY_API_KEYS"] * 6
    world.revoke_key(tokens, world.keys(tokens)[0].id)
    assert world.new_key(tokens, expires_in=lasting(minutes=2))
    world.clock.advance(minutes=3)
    assert world.new_key(tokens)
    with refused("RESOURCE_EXHAUSTED", "TOO_MANY_API_KEYS"):
        world.new_key(tokens)


def test_an_operator_may_make_a_key_for_operators(world):
    world.register("ada")
    world.set_role("ada", Role.OPERATOR)

    made = world.new_key(world.login("ada"), "admin")

    said = claims(world.exchange(made.secret))
    assert (said["role"], said["scope"]) == ("operator", "admin")


def test_a_key_for_operators_ends_with_the_role_and_the_others_stay(world):
    world.register("ada")
    world.set_role("ada", Role.OPERATOR)
    tokens = world.login("ada")
    admin, reads = world.new_key(tokens, "admin", "read"), world.new_key(tokens, "read")

    world.set_role("ada", Role.USER)

    with refused(*REVOKED):
        world.exchange(admin.secret)
    assert admin.api_key.id in world.revoked()
    assert claims(world.exchange(reads.secret))["role"] == "user"


def test_the_keys_of_a_deleted_account_are_worth_nothing(world):
    tokens = world.signed_in()
    made = world.new_key(tokens)

    world.delete_me(tokens)

    with refused(*INVALID):
        world.exchange(made.secret)
    assert made.api_key.id in world.revoked()


def test_a_key_is_never_logged(world):
    tokens = world.signed_in()
    with capture_logs() as lines:
        secret = world.new_key(tokens).secret
        token = world.exchange(secret).access_token
        world.stub.GetMe(auth.GetMeRequest(), metadata=by_key(secret))
        with refused(*INVALID):
            world.exchange(secret + "x")

    for private in (secret, token, PASSWORD):
        assert private not in repr(lines)
