"""How often passwords may be wrong and accounts be made."""

from datetime import timedelta
from functools import partial
from uuid import uuid4

import grpc
import pytest
from imagegen.auth.v1 import auth_service_pb2 as auth

from services.auth.domain import Limit, UserId
from services.auth.limits import Limits
from tests.auth.conftest import PASSWORD, at_once, refused
from tests.grpc_errors import retry_seconds

TOO_MANY = ("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS")
BAD = ("UNAUTHENTICATED", "BAD_CREDENTIALS")
WRONG = ("PERMISSION_DENIED", "WRONG_PASSWORD")


def log_in(world, name="ada", password="wrong", address="192.0.2.1"):
    request = auth.LoginRequest(username=name, password=password)
    return world.stub.Login(request, metadata=(("x-forwarded-for", address),)).tokens


def fail(world, times, *outcome, **call):
    for _ in range(times):
        with refused(*(outcome or BAD)):
            log_in(world, **call)


@pytest.mark.parametrize("name", ["ada", "nobody", "nobody@example.org"])
def test_the_eleventh_wrong_password_for_a_name_is_too_many_whether_or_not_there_is_such_an_account(world, name):
    world.register("ada")
    fail(world, 10, name=name)

    fail(world, 1, *TOO_MANY, name=name)
    fail(world, 1, *TOO_MANY, name=name, password=PASSWORD)
    fail(world, 1, *TOO_MANY, name=name.upper())


def test_every_minute_makes_up_for_one(world):
    world.register("ada")
    fail(world, 10)
    with pytest.raises(grpc.RpcError) as caught:
        log_in(world)
    assert 58 < retry_seconds(caught.value) <= 60

    world.clock.advance(seconds=60)
    assert log_in(world, password=PASSWORD)
    assert log_in(world, password=PASSWORD)
    fail(world, 1)
    fail(world, 1, *TOO_MANY)


def test_right_passwords_do_not_count(world):
    world.register("ada")
    fail(world, 9)

    for _ in range(12):
        log_in(world, password=PASSWORD)

    fail(world, 1)
    fail(world, 1, *TOO_MANY)


def test_the_limit_of_one_name_is_none_of_anothers(world):
    world.register("ada")
    fail(world, 10, name="bob")

    assert log_in(world, password=PASSWORD)


def test_the_fifty_first_wrong_password_from_an_address_is_too_many(world):
    world.register("ada")
    for n in range(10):
        fail(world, 5, name=f"user-{n}")

    fail(world, 1, *TOO_MANY, name="ada", password=PASSWORD)
    assert log_in(world, password=PASSWORD, address="192.0.2.2")


def test_only_the_end_of_the_forwarded_addresses_is_believed(world):
    for n in range(10):
        fail(world, 5, name=f"user-{n}", address=f"203.0.113.{n}, 192.0.2.1")

    fail(world, 1, *TOO_MANY, address="203.0.113.99,192.0.2.1")
    fail(world, 1, address="192.0.2.1, 203.0.113.99")


def test_who_sends_no_forwarded_address_is_known_by_the_own(world):
    for n in range(50):
        with refused(*BAD):
            world.login(f"user-{n}")

    with refused(*TOO_MANY):
        world.login("ada")
    fail(world, 1)


def test_guesses_at_once_do_not_slip_through(world):
    world.register("ada")
    with world.replica() as other:
        request = auth.LoginRequest(username="ada", password="wrong")
        answers = at_once([partial(stub.Login, request) for stub in [world.stub, other] for _ in range(30)])

    assert sorted(answers) == ["BAD_CREDENTIALS"] * 10 + ["TOO_MANY_ATTEMPTS"] * 50


def test_a_refusal_counts_for_neither(world):
    fail(world, 10)
    fail(world, 45, *TOO_MANY)

    fail(world, 1, name="bob")


def test_the_hundred_and_first_new_account_from_an_address_is_too_many(world):
    for n in range(100):
        world.register(f"user-{n}")

    with refused(*TOO_MANY):
        world.register()
    world.stub.Register(
        auth.RegisterRequest(username="elsewhere", email="a@b.org", password=PASSWORD),
        metadata=(("x-forwarded-for", "192.0.2.1"),),
    )


@pytest.mark.parametrize("method", ["ChangePassword", "DeleteMe"])
def test_a_thief_of_a_session_does_not_guess_the_password(world, method):
    world.register("ada")
    tokens = world.login("ada")

    def guess(password):
        if method == "DeleteMe":
            world.delete_me(tokens, password)
        else:
            world.change_password(tokens, password, "a new horse battery staple")

    for _ in range(10):
        with refused(*WRONG):
            guess("wrong")
    with refused(*TOO_MANY):
        guess(PASSWORD)
    assert world.login("ada")
    world.clock.advance(minutes=1)
    guess(PASSWORD)


def test_what_is_counted_is_known_by_a_hash_alone(world):
    world.register("ada", "ada@example.org")
    fail(world, 1)
    fail(world, 1, name="ada@example.org")

    kept = world.sql("SELECT key FROM attempts")
    assert {len(key) for (key,) in kept} == {32}


def limits() -> Limits:
    limit = Limit(1, timedelta(minutes=1))
    return Limits(limit, limit, limit)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "", True),
        ("unknown", "192.0.2.2", False),
    ],
)
def test_a_client_is_known_by_its_address_or_the_network_it_may_choose_from(one, other, alike):
    assert (limits().registration(one) == limits().registration(other)) is alike


def test_nothing_else_shares_a_count():
    user_id = UserId(uuid4())
    keys = [*limits().login("x", "x"), *limits().registration("x"), *limits().password(user_id)]

    assert len({attempt.key for attempt in keys}) == 4


def test_seven_in_ten_minutes_are_seven_at_once():
    limit = Limit(7, timedelta(minutes=10))

    assert limit.interval * 7 <= limit.burst
