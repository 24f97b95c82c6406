import pytest
from argon2 import PasswordHasher, extract_parameters
from structlog.testing import capture_logs

from services.auth.domain import ACCESS_LIFETIME
from tests.auth.conftest import PASSWORD, refused

BAD_CREDENTIALS = ("UNAUTHENTICATED", "BAD_CREDENTIALS")


@pytest.mark.parametrize("name", ["Ada", "ada", "ａｄａ", "Ada@example.org", "ADA@EXAMPLE.ORG"])
def test_a_person_signs_in_by_username_or_email_in_any_spelling(world, name):
    user = world.register("Ada", "Ada@example.org")

    tokens = world.login(name)

    assert world.me(tokens) == user
    assert tokens.expires_in.ToTimedelta() == ACCESS_LIFETIME


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("nobody", PASSWORD), ("nobody@example.org", PASSWORD), ("a\0da", PASSWORD)],
    ids=["wrong password", "no such username", "no such address", "a name that no database can hold"],
)
def test_a_refused_login_does_not_say_what_was_wrong(world, name, password):
    world.register("ada")

    with refused(*BAD_CREDENTIALS):
        world.login(name, password)
    assert world.sql("SELECT count(*) FROM sessions") == [(0,)]


@pytest.mark.parametrize(
    ("name", "password", "field"),
    [
        ("", PASSWORD, "username"),
        ("x" * 255, PASSWORD, "username"),
        ("ada", "", "password"),
        ("ada", "x" * 129, "password"),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(world, name, password, field):
    with refused("INVALID_ARGUMENT", "INVALID_FIELD", field):
        world.login(name, password)


def test_each_login_opens_a_session_of_its_own(world):
    world.register("ada")

    assert len({world.login("ada").refresh_token for _ in range(3)}) == 3
    assert world.sql("SELECT count(*) FROM sessions WHERE ended_at IS NULL") == [(3,)]


def test_a_login_hashes_the_password_anew_when_the_cost_has_changed(world):
    world.register("ada")
    dearer = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)

    with world.replica(dearer) as replica:
        world.stub = replica
        world.login("ada")
        [(renewed,)] = world.sql("SELECT password_hash FROM users")
        world.login("ada")

    assert (extract_parameters(renewed).time_cost, extract_parameters(renewed).memory_cost) == (2, 16)
    assert world.sql("SELECT password_hash FROM users") == [(renewed,)]


def test_a_refused_login_leaves_the_hash_alone(world):
    world.register("ada")
    before = world.sql("SELECT password_hash FROM users")

    with world.replica(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)) as replica:
        world.stub = replica
        with refused(*BAD_CREDENTIALS):
            world.login("ada", "wrong password")

    assert world.sql("SELECT password_hash FROM users") == before


def test_a_login_sweeps_the_sessions_that_its_user_let_expire(world):
    world.register("ada")
    world.login("ada")
    world.register("bob")
    world.login("bob")
    world.clock.advance(days=30)

    world.login("ada")

    names = "SELECT username FROM sessions JOIN users ON users.id = user_id ORDER BY username"
    assert world.sql(names) == [("ada",), ("bob",)]
    assert world.sql("SELECT count(*) FROM refresh_tokens") == [(2,)]


def test_nothing_secret_is_ever_logged(world):
    world.register("ada")
    with capture_logs() as lines:
        tokens = world.login("ada")
        world.refresh(tokens.refresh_token)
        world.me(tokens)
        world.clock.advance(minutes=1)
        with refused("UNAUTHENTICATED", "REFRESH_TOKEN_REUSED"):
            world.refresh(tokens.refresh_token)
        with refused(*BAD_CREDENTIALS):
            world.login("ada", "wrong password")
        world.sql("ALTER TABLE users RENAME COLUMN password_hash TO elsewhere")
        with refused("INTERNAL", ""):
            world.register("bob")

    text = repr(lines)
    assert {"call", "unexpected error", "a refresh token was used twice; its session is ended"} == {
        line["event"] for line in lines
    }
    for secret in (PASSWORD, "wrong password", "argon2", tokens.access_token, tokens.refresh_token):
        assert secret not in text


def test_the_kept_refresh_token_is_only_its_hash(world):
    tokens = world.signed_in()

    [(kept,)] = world.sql("SELECT token_hash FROM refresh_tokens")
    assert len(kept) == 32
    assert tokens.refresh_token.encode() not in bytes(kept)
