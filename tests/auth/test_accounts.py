"""Register, GetMe and UpdateMe."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
from imagegen.auth.v1 import auth_service_pb2 as auth

from tests.auth.conftest import PASSWORD, at_once, bearer, refused

USERNAME_TAKEN = ("ALREADY_EXISTS", "USERNAME_TAKEN", "username")
EMAIL_TAKEN = ("ALREADY_EXISTS", "EMAIL_TAKEN", "email")


def test_a_registered_person_signs_in_and_sees_the_account(world):
    user = world.register("ada", "ada@example.org")

    assert world.me(world.login("ada")) == user
    assert (user.username, user.email, UUID(user.id).version) == ("ada", "ada@example.org", 7)
    assert abs(world.clock() - user.create_time.ToDatetime(world.clock().tzinfo)) < timedelta(minutes=1)


def test_a_password_is_kept_only_as_an_argon2id_hash(world):
    world.register("ada")

    [(kept,)] = world.sql("SELECT password_hash FROM users")
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", ""),
        ("username", "ab"),
        ("username", "x" * 33),
        ("username", "a b"),
        ("username", "a@b"),
        ("username", "½½½"),
        ("username", "\u0301ada"),
        ("email", ""),
        ("email", "nobody"),
        ("email", f"{'x' * 250}@example.org"),
        ("email", "a\0b@example.org"),
        ("password", "1234567"),
        ("password", "x" * 129),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(world, field, value):
    good = {"username": "ada", "email": "ada@example.org", "password": PASSWORD}

    with refused("INVALID_ARGUMENT", "INVALID_FIELD", field):
        world.stub.Register(auth.RegisterRequest(**good | {field: value}))


@pytest.mark.parametrize("name", ["सरस्वती", "தமிழ்", "e\u0301cole", "ไก่ย่าง"])
def test_a_username_may_have_the_marks_of_its_script(world, name):
    user = world.register(name)

    assert world.me(world.login(name)) == user


@pytest.mark.parametrize("taken", ["ada", "ADA", "ａｄａ"])
def test_a_username_is_taken_in_every_spelling(world, taken):
    world.register("Ada")

    with refused(*USERNAME_TAKEN):
        world.register(taken)


def test_case_counts_as_the_same_in_every_script(world):
    world.register("Ягода")

    with refused(*USERNAME_TAKEN):
        world.register("яГОДА")


def test_an_email_is_taken_in_every_case(world):
    world.register(email="Ada@example.org")

    with refused(*EMAIL_TAKEN):
        world.register(email="ada@EXAMPLE.org")


@pytest.mark.parametrize(
    ("first", "second", "answer"),
    [
        ({"username": "ada"}, {"username": "ADA"}, USERNAME_TAKEN),
        ({"email": "a@b.org"}, {"email": "A@b.org"}, EMAIL_TAKEN),
    ],
    ids=["username", "email"],
)
def test_of_two_registrations_at_once_the_second_is_told_what_is_taken(world, first, second, answer):
    row = {"id": uuid4(), "username": "first", "email": "first@example.org"} | first
    with ThreadPoolExecutor(1) as thread:
        with world.engine.begin() as tx:
            tx.exec_driver_sql(
                "INSERT INTO users VALUES (%(id)s, %(username)s, %(email)s, '$argon2id$', now())",
                row | {"id": str(row["id"])},
            )
            registering = thread.submit(partial(world.register, **second))
            world.until_it_waits_for_a_lock(registering)
        with refused(*answer):
            registering.result(10)


def test_many_registrations_of_one_name_make_one_account(world):
    answers = at_once([partial(world.register, "ada") for _ in range(16)])

    assert sorted(map(str, answers)).count("USERNAME_TAKEN") == 15
    assert world.sql("SELECT count(*) FROM users") == [(1,)]


def test_an_update_changes_what_is_set_and_nothing_else(world):
    user = world.register("ada", "ada@example.org")
    tokens = world.login("ada")

    renamed = world.update_me(tokens, username="Ｌovelace")
    moved = world.update_me(tokens, email="lovelace@example.org")

    assert (renamed.username, renamed.email) == ("Lovelace", "ada@example.org")
    assert (moved.username, moved.email) == ("Lovelace", "lovelace@example.org")
    assert (moved.id, moved.create_time) == (user.id, user.create_time)
    assert world.me(tokens) == moved
    assert world.me(world.login("lovelace@example.org")) == moved


def test_an_update_that_sets_nothing_returns_the_account_unchanged(world):
    user = world.register("ada")

    assert world.update_me(world.login("ada")) == user


def test_a_person_may_change_the_case_of_the_own_name(world):
    world.register("ada")

    assert world.update_me(world.login("ada"), username="Ada").username == "Ada"


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"username": "BOB"}, USERNAME_TAKEN),
        ({"email": "BOB@example.org"}, EMAIL_TAKEN),
        ({"username": "no spaces"}, ("INVALID_ARGUMENT", "INVALID_FIELD", "username")),
        ({"username": ""}, ("INVALID_ARGUMENT", "INVALID_FIELD", "username")),
        ({"username": "½½½"}, ("INVALID_ARGUMENT", "INVALID_FIELD", "username")),
        ({"email": "nobody"}, ("INVALID_ARGUMENT", "INVALID_FIELD", "email")),
        ({"email": ""}, ("INVALID_ARGUMENT", "INVALID_FIELD", "email")),
    ],
)
def test_an_update_that_is_refused_changes_nothing(world, changes, answer):
    world.register("bob", "bob@example.org")
    user = world.register("ada", "ada@example.org")
    tokens = world.login("ada")

    with refused(*answer):
        world.update_me(tokens, **changes)

    assert world.me(tokens) == user


def test_everybody_sees_and_changes_only_the_own_account(world):
    ada, bob = world.register("ada"), world.register("bob")

    world.update_me(world.login("ada"), email="new@example.org")

    assert world.me(world.login("ada")).id == ada.id
    assert world.me(world.login("bob")) == bob


def test_a_good_token_of_an_account_that_is_gone_finds_nothing(world):
    tokens = world.signed_in()
    world.sql("DELETE FROM users")

    with refused("NOT_FOUND", "USER_NOT_FOUND"):
        world.me(tokens)
    for changes in ({}, {"username": "ada"}):
        with refused("NOT_FOUND", "USER_NOT_FOUND"):
            world.stub.UpdateMe(auth.UpdateMeRequest(**changes), metadata=bearer(tokens))
