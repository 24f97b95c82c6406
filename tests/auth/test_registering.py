"""Register, once: repeats by request_id, and passwords that are easy to guess."""

from functools import partial

import pytest
from imagegen.auth.v1 import auth_service_pb2 as auth

from services.auth.common_passwords import common_passwords
from services.auth.domain import fold
from tests.auth.conftest import PASSWORD, at_once, refused

REUSED = ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
BODY = {"username": "ada", "email": "ada@example.org", "password": PASSWORD, "request_id": "r1"}


def register(world, **other):
    return world.stub.Register(auth.RegisterRequest(**BODY | other))


def test_a_repeated_request_gets_the_account_that_the_first_made(world):
    first = register(world)
    again = register(world)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.user == first.user
    assert register(world, username="ａｄａ").replayed


@pytest.mark.parametrize("other", [{"username": "bob"}, {"email": "b@c.org"}, {"password": PASSWORD + "!"}])
def test_a_request_id_belongs_to_one_request(world, other):
    register(world)

    with refused(*REUSED):
        register(world, **other)
    assert world.sql("SELECT username FROM users") == [("ada",)]


def test_a_request_without_an_id_is_no_repeat(world):
    register(world, request_id="")

    with refused("ALREADY_EXISTS", "USERNAME_TAKEN", "username"):
        register(world, request_id="")
    with refused("ALREADY_EXISTS", "USERNAME_TAKEN", "username"):
        register(world)
    assert not register(world, username="bob", email="b@c.org", request_id="").replayed


def test_a_repeat_survives_a_change_of_the_name(world):
    first = register(world)
    world.update_me(world.login("ada"), username="lovelace")

    again = register(world)

    assert (again.user.id, again.user.username, again.replayed) == (first.user.id, "lovelace", True)


def test_fifty_duplicates_at_once_make_one_account(world):
    request = auth.RegisterRequest(**BODY)
    with world.replica() as other:
        answers = at_once([partial(stub.Register, request) for stub in [world.stub, other] for _ in range(25)])

    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 49
    assert len({answer.user.id for answer in answers}) == 1


def test_repeats_are_no_new_accounts_for_the_limit(world):
    for _ in range(110):
        register(world)

    assert world.register()


@pytest.mark.parametrize("field", ["x" * 129, "a\0b"])
def test_a_request_id_that_breaks_its_rule_is_named(world, field):
    with refused("INVALID_ARGUMENT", "INVALID_FIELD", "request_id"):
        register(world, request_id=field)


@pytest.mark.parametrize(
    "password",
    [
        "password1",
        "PASSWORD1",
        "ｐａｓｓｗｏｒｄ１",
        "Ada-Lovelace",
        "ada-lovelace",
        "COUNTESS@Example.org",
        "Countess.Of",
    ],
)
def test_a_password_that_is_tried_first_is_refused(world, password):
    email = "countess.of@example.org" if password == "Countess.Of" else "countess@example.org"

    with refused("INVALID_ARGUMENT", "INVALID_FIELD", "password"):
        register(world, username="ada-lovelace", email=email, password=password)


@pytest.mark.parametrize(
    "password",
    [
        "        ",
        "\0\0\0\0\0\0\0\0",
        "🐎🔋📎🐎🔋📎🐎🔋",
        "пароль от всего",
        "aaaaaaab",
        "x" * 128,
        "🐎" * 128,
        "\n\t\r\x1b\x7f-'\"",
    ],
)
def test_any_characters_make_a_password(world, password):
    register(world, password=password)

    assert world.login("ada", password)


def test_the_list_of_common_passwords_is_compared_as_it_is_kept():
    assert len(common_passwords()) == 11_611
    assert all(fold(password) == password and len(password) >= 8 for password in common_passwords())
