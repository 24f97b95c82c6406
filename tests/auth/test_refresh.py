"""Refresh and Logout."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from imagegen.auth.v1 import auth_service_pb2 as auth

from tests.auth.conftest import at_once, bearer, refused

INVALID = ("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID")
REUSED = ("UNAUTHENTICATED", "REFRESH_TOKEN_REUSED")


def ended(world) -> list[bool]:
    """Of each session in order of its opening."""
    return [row.ended for row in world.sql("SELECT ended_at IS NOT NULL AS ended FROM sessions ORDER BY id")]


def test_an_exchange_gives_new_tokens_of_the_same_session(world):
    first = world.signed_in()

    second = world.refresh(first.refresh_token)

    assert second.refresh_token != first.refresh_token
    assert second.access_token != first.access_token
    assert world.me(second) == world.me(first)
    assert ended(world) == [False]


def test_a_repeat_within_the_grace_is_answered_with_tokens_that_work(world):
    tokens = world.signed_in()
    once = world.refresh(tokens.refresh_token)
    world.clock.advance(seconds=9)

    again = world.refresh(tokens.refresh_token)

    assert again.refresh_token != once.refresh_token
    world.refresh(once.refresh_token)
    world.refresh(again.refresh_token)
    assert ended(world) == [False]


def test_the_grace_counts_from_the_first_exchange(world):
    tokens = world.signed_in()
    world.refresh(tokens.refresh_token)
    world.clock.advance(seconds=6)
    world.refresh(tokens.refresh_token)
    world.clock.advance(seconds=6)

    with refused(*REUSED):
        world.refresh(tokens.refresh_token)


def test_a_later_reuse_ends_the_whole_session(world):
    stolen = world.signed_in()
    kept = world.refresh(stolen.refresh_token)
    world.clock.advance(seconds=11)

    with refused(*REUSED):
        world.refresh(stolen.refresh_token)

    assert ended(world) == [True]
    for token in (kept, stolen):
        with refused(*INVALID):
            world.refresh(token.refresh_token)


def test_a_reuse_ends_no_other_session(world):
    world.register("ada")
    laptop, phone = world.login("ada"), world.login("ada")
    world.refresh(phone.refresh_token)
    world.clock.advance(seconds=11)

    with refused(*REUSED):
        world.refresh(phone.refresh_token)

    assert ended(world) == [False, True]
    world.refresh(laptop.refresh_token)


@pytest.mark.parametrize("unknown", ["nonsense", "\0", "é" * 256])
def test_an_unknown_token_is_invalid(world, unknown):
    with refused(*INVALID):
        world.refresh(unknown)


@pytest.mark.parametrize("malformed", ["", "x" * 257])
def test_a_token_of_the_wrong_length_is_named(world, malformed):
    with refused("INVALID_ARGUMENT", "INVALID_FIELD", "refresh_token"):
        world.refresh(malformed)


def test_a_token_expires_after_thirty_days_and_each_exchange_begins_them_anew(world):
    tokens = world.signed_in()
    for _ in range(3):
        world.clock.advance(days=29)
        tokens = world.refresh(tokens.refresh_token)
    world.clock.advance(days=30)

    with refused(*INVALID):
        world.refresh(tokens.refresh_token)


def test_tokens_that_have_expired_are_not_kept(world):
    tokens = world.signed_in()
    for _ in range(5):
        world.clock.advance(days=20)
        tokens = world.refresh(tokens.refresh_token)

    assert world.sql("SELECT count(*) FROM refresh_tokens") == [(2,)]


def test_two_hundred_exchanges_of_one_token_at_once_leave_one_living_session(world):
    request = auth.RefreshRequest(refresh_token=world.signed_in().refresh_token)

    with world.replica() as other:
        answers = at_once([partial(stub.Refresh, request) for stub in [world.stub, other] for _ in range(100)])

    assert len({answer.tokens.refresh_token for answer in answers}) == 200
    assert ended(world) == [False]
    assert world.sql("SELECT count(*), count(used_at) FROM refresh_tokens") == [(201, 1)]
    assert world.refresh(answers[-1].tokens.refresh_token)


def test_of_many_late_reuses_at_once_one_ends_the_session(world):
    tokens = world.signed_in()
    world.refresh(tokens.refresh_token)
    world.clock.advance(seconds=11)

    answers = at_once([partial(world.refresh, tokens.refresh_token)] * 32)

    assert sorted(answers) == ["REFRESH_TOKEN_INVALID"] * 31 + ["REFRESH_TOKEN_REUSED"]
    assert ended(world) == [True]


def test_an_exchange_that_waited_for_the_end_of_its_session_is_refused(world):
    tokens = world.signed_in()

    with ThreadPoolExecutor(1) as thread:
        with world.engine.begin() as tx:
            tx.exec_driver_sql("UPDATE sessions SET ended_at = now()")
            exchanging = thread.submit(world.refresh, tokens.refresh_token)
            world.until_it_waits_for_a_lock(exchanging)
        with refused(*INVALID):
            exchanging.result(10)


def test_an_exchange_that_waited_for_another_sees_what_it_did(world):
    tokens = world.signed_in()

    with ThreadPoolExecutor(1) as thread:
        with world.engine.begin() as tx:
            tx.exec_driver_sql("UPDATE sessions SET last_used_at = now()")
            exchanging = thread.submit(world.refresh, tokens.refresh_token)
            world.until_it_waits_for_a_lock(exchanging)
            tx.exec_driver_sql("UPDATE refresh_tokens SET used_at = now() - interval '1 minute'")
        with refused(*REUSED):
            exchanging.result(10)


def test_a_logout_and_exchanges_at_once_leave_an_ended_session(world):
    tokens = world.signed_in()

    answers = at_once(
        [partial(world.refresh, tokens.refresh_token)] * 8 + [partial(world.logout, tokens.refresh_token)]
    )

    assert ended(world) == [True]
    assert {answer for answer in answers if isinstance(answer, str)} <= {"REFRESH_TOKEN_INVALID"}
    with refused(*INVALID):
        world.refresh(tokens.refresh_token)


def test_a_logout_by_refresh_token_ends_its_session_and_no_other(world):
    world.register("ada")
    laptop, phone = world.login("ada"), world.login("ada")

    world.logout(phone.refresh_token)

    assert ended(world) == [False, True]
    with refused(*INVALID):
        world.refresh(phone.refresh_token)
    world.refresh(laptop.refresh_token)


def test_a_logout_by_access_token_ends_the_callers_own_session(world):
    world.register("ada")
    laptop, phone = world.login("ada"), world.login("ada")

    world.logout(metadata=bearer(phone))

    assert ended(world) == [False, True]
    world.refresh(laptop.refresh_token)


def test_a_logout_with_both_goes_by_the_refresh_token(world):
    world.register("ada")
    laptop, phone = world.login("ada"), world.login("ada")

    world.logout(phone.refresh_token, bearer(laptop))

    assert ended(world) == [False, True]


def test_a_token_that_was_exchanged_still_ends_its_session(world):
    tokens = world.signed_in()
    world.refresh(tokens.refresh_token)

    world.logout(tokens.refresh_token)

    assert ended(world) == [True]


def test_a_logout_may_be_repeated_and_the_first_one_counts(world):
    tokens = world.signed_in()
    world.logout(tokens.refresh_token)
    first = world.sql("SELECT ended_at FROM sessions")
    world.clock.advance(seconds=1)

    world.logout(tokens.refresh_token)

    assert world.sql("SELECT ended_at FROM sessions") == first


def test_a_logout_by_an_unknown_token_ends_nothing(world):
    world.signed_in()

    world.logout("nonsense")

    assert ended(world) == [False]


def test_a_logout_without_any_token_is_refused(world):
    with refused("UNAUTHENTICATED", "TOKEN_MISSING"):
        world.logout()
