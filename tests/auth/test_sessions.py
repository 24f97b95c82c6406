"""ListSessions, EndSession, LogoutEverywhere and ChangePassword."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from functools import partial
from uuid import uuid4

import pytest
from imagegen.auth.v1 import auth_service_pb2 as auth

from services.auth.domain import REFRESH_LIFETIME, REVOCATION_LIFETIME
from tests.auth.conftest import CHEAP, DEARER, PASSWORD, at_once, bearer, refused

NEW = "a new horse battery staple"
NOT_FOUND = ("NOT_FOUND", "SESSION_NOT_FOUND")
WRONG = ("PERMISSION_DENIED", "WRONG_PASSWORD")


def end(world, tokens, session_id):
    world.stub.EndSession(auth.EndSessionRequest(session_id=session_id), metadata=bearer(tokens))


def log_out_everywhere(world, tokens):
    world.stub.LogoutEverywhere(auth.LogoutEverywhereRequest(), metadata=bearer(tokens))


def going_on(world) -> int:
    return world.sql("SELECT count(*) FROM sessions WHERE ended_at IS NULL")[0][0]


def test_a_person_sees_where_the_account_is_signed_in_newest_first(world):
    world.register("ada")
    world.stub.Login(auth.LoginRequest(username="ada", password=PASSWORD, device="Phone"))
    world.clock.advance(seconds=5)
    laptop = world.stub.Login(auth.LoginRequest(username="ada", password=PASSWORD, device="Läptop 💻")).tokens
    world.signed_in()

    mine, other = world.sessions(laptop)

    assert [(mine.device, mine.is_current), (other.device, other.is_current)] == [("Läptop 💻", True), ("Phone", False)]
    assert mine.create_time.ToDatetime(UTC) > other.create_time.ToDatetime(UTC)
    assert mine.expire_time.ToDatetime(UTC) - mine.last_use_time.ToDatetime(UTC) == REFRESH_LIFETIME


def test_a_refresh_is_a_use(world):
    tokens = world.signed_in()
    [before] = world.sessions(tokens)
    world.clock.advance(minutes=1)

    [after] = world.sessions(world.refresh(tokens.refresh_token))

    assert after.last_use_time.ToDatetime() > before.last_use_time.ToDatetime()
    assert (after.id, after.create_time) == (before.id, before.create_time)


def test_sessions_that_ended_or_expired_are_not_listed(world):
    world.register("ada")
    world.login("ada")
    world.clock.advance(days=29)
    world.logout(world.login("ada").refresh_token)
    world.clock.advance(days=1)

    assert len(world.sessions(world.login("ada"))) == 1


def test_a_person_ends_one_of_the_own_sessions(world):
    world.register("ada")
    phone, laptop = world.login("ada"), world.login("ada")
    [phones] = [session.id for session in world.sessions(phone) if session.is_current]

    end(world, laptop, phones)
    end(world, laptop, phones)

    assert [session.is_current for session in world.sessions(laptop)] == [True]
    assert world.revoked() == {phones}
    with refused("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"):
        world.refresh(phone.refresh_token)


def test_nobody_ends_or_finds_the_session_of_somebody_else(world):
    mine, theirs = world.signed_in(), world.signed_in()
    [session] = world.sessions(theirs)

    for unknown in (session.id, str(uuid4())):
        with refused(*NOT_FOUND):
            end(world, mine, unknown)
    with refused("INVALID_ARGUMENT", "INVALID_FIELD", "session_id"):
        end(world, mine, "no uuid")

    assert going_on(world) == 2


def test_a_logout_everywhere_ends_every_session_of_the_account_and_of_no_other(world):
    world.register("ada")
    for _ in range(3):
        last = world.login("ada")
    key = world.new_key(last)
    other = world.signed_in()

    log_out_everywhere(world, last)

    assert going_on(world) == 1
    assert world.sessions(other)
    assert len(world.revoked()) == 3
    assert world.exchange(key.secret)


def test_a_new_password_signs_in_and_the_old_one_does_not(world):
    world.register("ada")
    world.change_password(world.login("ada"), PASSWORD, NEW)

    assert world.login("ada", NEW)
    with refused("UNAUTHENTICATED", "BAD_CREDENTIALS"):
        world.login("ada")


def test_a_new_password_ends_the_other_sessions_and_keeps_the_callers_own_and_the_keys(world):
    world.register("ada")
    thief, mine, other = world.login("ada"), world.login("ada"), world.signed_in()
    key = world.new_key(mine)

    world.change_password(mine, PASSWORD, NEW)

    assert [session.is_current for session in world.sessions(mine)] == [True]
    with refused("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"):
        world.refresh(thief.refresh_token)
    assert world.refresh(mine.refresh_token)
    assert world.sessions(other)
    assert world.exchange(key.secret)


def test_the_current_password_is_asked_for(world):
    world.register("ada")
    mine = world.login("ada")
    world.login("ada")

    with refused(*WRONG):
        world.change_password(mine, "wrong", NEW)

    assert going_on(world) == 2
    assert world.login("ada")


@pytest.mark.parametrize(
    "new", ["short", "x" * 129, "password1", "Ada-Lovelace", "ADA@example.org", "１２３４５６７８"]
)
def test_a_new_password_that_is_easy_to_guess_is_named(world, new):
    world.register("ada-lovelace", "ada@example.org")
    tokens = world.login("ada-lovelace")

    with refused("INVALID_ARGUMENT", "INVALID_FIELD", "new_password"):
        world.change_password(tokens, PASSWORD, new)


def test_a_login_that_knew_the_old_password_opens_no_session_after_the_change(world):
    world.register("ada")
    tokens = world.login("ada")
    with ThreadPoolExecutor(1) as thread:
        with world.engine.begin() as tx:
            tx.exec_driver_sql("UPDATE users SET password_hash = %s", (CHEAP.hash(NEW),))
            signing_in = thread.submit(world.login, "ada")
            world.until_it_waits_for_a_lock(signing_in)
        with refused("UNAUTHENTICATED", "BAD_CREDENTIALS"):
            signing_in.result(10)
    assert len(world.sessions(tokens)) == 1


def test_logins_at_once_survive_a_new_cost_of_hashing(world):
    world.register("ada")
    with world.replica(DEARER) as replica:
        world.stub = replica
        answers = at_once([partial(world.login, "ada")] * 8)

    assert {type(answer) for answer in answers} == {auth.Tokens}


def test_of_two_changes_at_once_one_wins(world):
    world.register("ada")
    tokens = world.login("ada")

    answers = at_once([partial(world.change_password, tokens, PASSWORD, f"{NEW} {n}") for n in range(4)])

    assert sorted(map(str, answers)) == ["None"] + ["WRONG_PASSWORD"] * 3


@pytest.mark.parametrize("how", ["logout", "by token", "everywhere", "reuse"])
def test_every_end_of_a_session_revokes_its_tokens_in_the_same_transaction(world, how):
    tokens = world.signed_in()
    [session] = world.sessions(tokens)
    match how:
        case "logout":
            world.logout(metadata=bearer(tokens))
        case "by token":
            world.logout(tokens.refresh_token)
        case "everywhere":
            log_out_everywhere(world, tokens)
        case "reuse":
            world.refresh(tokens.refresh_token)
            world.clock.advance(seconds=11)
            with refused("UNAUTHENTICATED", "REFRESH_TOKEN_REUSED"):
                world.refresh(tokens.refresh_token)

    [(sid, lasts, same)] = world.sql(
        "SELECT sid, r.expires_at - ended_at, r.xmin = s.xmin FROM revocations r JOIN sessions s ON sid = id"
    )
    assert (str(sid), lasts, same) == (session.id, REVOCATION_LIFETIME, True)
