"""The rules, without a database."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.auth.domain import (
    REFRESH_LIFETIME,
    REUSE_GRACE,
    Exchange,
    RefreshToken,
    RefreshTokenInvalid,
    Session,
    SessionId,
    Tokens,
    UserId,
    judge_exchange,
    parse_username,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def a_session(*, ended: bool = False) -> Session:
    ended_at = START if ended else None
    return Session(SessionId(uuid4()), UserId(uuid4()), START, START, START + REFRESH_LIFETIME, ended_at)


def a_token(*, used_at: datetime | None = None) -> RefreshToken:
    return RefreshToken(bytes(32), SessionId(uuid4()), START, used_at)


@pytest.mark.parametrize(
    ("used_after", "shown_after", "meaning"),
    [
        (None, timedelta(0), Exchange.FIRST),
        (None, REFRESH_LIFETIME - TICK, Exchange.FIRST),
        (timedelta(hours=1), timedelta(hours=1), Exchange.REPEAT),
        (timedelta(hours=1), timedelta(hours=1) + REUSE_GRACE, Exchange.REPEAT),
        (timedelta(hours=1), timedelta(hours=1) + REUSE_GRACE + TICK, Exchange.REUSE),
        (timedelta(hours=1), REFRESH_LIFETIME - TICK, Exchange.REUSE),
        (timedelta(hours=1), timedelta(hours=1) - timedelta(seconds=1), Exchange.REPEAT),
    ],
    ids=["new", "old", "again at once", "at the end of the grace", "after it", "much later", "a clock behind"],
)
def test_a_token_is_exchanged_once_and_repeated_within_the_grace(used_after, shown_after, meaning):
    token = a_token(used_at=None if used_after is None else START + used_after)

    assert judge_exchange(a_session(), token, START + shown_after) is meaning


@pytest.mark.parametrize("used_at", [None, START], ids=["unused", "used"])
@pytest.mark.parametrize(
    ("ended", "shown_after"),
    [(True, timedelta(seconds=1)), (False, REFRESH_LIFETIME), (True, REFRESH_LIFETIME)],
    ids=["ended", "expired", "both"],
)
def test_a_token_of_an_ended_session_and_an_expired_one_are_worth_nothing(ended, shown_after, used_at):
    with pytest.raises(RefreshTokenInvalid):
        judge_exchange(a_session(ended=ended), a_token(used_at=used_at), START + shown_after)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ada", "ada"),
        ("Ada.B_c-1", "Ada.B_c-1"),
        ("ａｄａ", "ada"),
        ("oﬃce", "office"),
        ("李小龙", "李小龙"),
        ("सरस्वती", "सरस्वती"),
        ("தமிழ்", "தமிழ்"),
        ("e\u0301cole", "école"),
        ("x" * 32, "x" * 32),
    ],
)
def test_a_username_is_kept_in_its_one_spelling(typed, kept):
    assert parse_username(typed) == kept


@pytest.mark.parametrize(
    "typed",
    ["ab", "x" * 33, "a b c", "a@b", "½½½", "ﷺ" * 3, "x" * 31 + "ﬁ", "a\0b", "", "\u0301abc"],
    ids=[
        "short",
        "long",
        "spaces",
        "at",
        "½",
        "a phrase in one letter",
        "long at last",
        "nul",
        "empty",
        "a mark first",
    ],
)
def test_a_username_that_breaks_the_rule_once_normalised_is_refused(typed):
    with pytest.raises(ValueError, match="3 to 32 letters or digits"):
        parse_username(typed)


def test_tokens_do_not_show_in_a_representation():
    assert "secret" not in repr(Tokens("secret access", "secret refresh"))
