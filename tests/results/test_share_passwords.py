"""Share links with a password: tickets, and how often somebody may guess."""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.results.domain import MOST_ATTEMPTS, TICKET_LIFETIME, OwnerId, ResultId, Share, ShareId
from services.results.links import ImageLinks
from tests.results.conftest import refusal
from tests.results.sharing import LOCKED, TOO_MANY_ATTEMPTS, WRONG, downloaded, opened, unlocked
from tests.results.test_erasing import refused
from tests.results.test_races import at_once


def test_a_locked_link_opens_with_the_ticket_of_its_password_alone(world, sharer):
    made, other = sharer.create(password="fox"), sharer.create(password="fox")
    assert made.share.has_password

    ticket = unlocked(world, made.token, "fox")

    for bad in ("", "1.x", ticket[:-1], ticket + "=", "9" + ticket, unlocked(world, other.token, "fox")):
        assert refused(opened, world, made.token, bad) == LOCKED
        assert refused(downloaded, world, made.token, bad) == LOCKED
    assert opened(world, made.token, ticket)
    assert downloaded(world, made.token, ticket)[1]


@pytest.mark.parametrize("password", ["", "Fox", "fox ", "f", "x" * 4096, "\0", "fox\0"])
def test_a_wrong_password_gives_no_ticket(world, sharer, password):
    token = sharer.create(password="fox").token

    assert refused(unlocked, world, token, password) == WRONG


def test_a_password_is_one_however_its_letters_are_composed(world, sharer):
    token = sharer.create(password="caf\u00e9 密码").token

    assert unlocked(world, token, "cafe\u0301 密码")


def test_a_new_password_ends_the_tickets_of_the_old_one(world, sharer):
    made = sharer.create(password="fox")
    ticket = unlocked(world, made.token, "fox")

    sharer.update(made.share, hide_prompt=True)
    assert opened(world, made.token, ticket)
    sharer.update(made.share, password="fox")

    assert refused(opened, world, made.token, ticket) == LOCKED


def test_a_link_without_a_password_unlocks_for_whoever_comes_too_late(world, sharer):
    made = sharer.create(password="fox")
    sharer.update(made.share, no_password=True)

    ticket = unlocked(world, made.token, "whatever")

    sharer.update(made.share, password="hare")
    assert refused(opened, world, made.token, ticket) == LOCKED


def test_a_ticket_ends_after_an_hour():
    now = datetime(2026, 11, 28, 12, tzinfo=UTC)
    share = Share(
        id=ShareId(uuid4()),
        owner_id=OwnerId(uuid4()),
        result_id=ResultId(uuid4()),
        token_hash=b"",
        password_hash="$argon2id$",
        hide_prompt=False,
        allow_download=False,
        request_id=None,
        request_hash=b"",
        created_at=now,
        expires_at=None,
    )
    tickets = ImageLinks(bytes(range(32))).tickets

    ticket, expires_at = tickets.issue(share, now)

    assert expires_at == now + TICKET_LIFETIME
    assert tickets.is_good(share, ticket, expires_at - timedelta(microseconds=1))
    assert not tickets.is_good(share, ticket, expires_at)
    assert not ImageLinks(bytes(32)).tickets.is_good(share, ticket, now)


def test_guesses_from_one_network_are_stopped_and_told_for_how_long(world, sharer):
    token, other = sharer.create(password="fox").token, sharer.create(password="fox").token
    for number in range(MOST_ATTEMPTS):
        assert refused(unlocked, world, token, "guess", f"2001:db8::{number:x}") == WRONG

    with pytest.raises(grpc.RpcError) as caught:
        unlocked(world, token, "fox", "2001:db8::ffff")

    assert refusal(caught) == TOO_MANY_ATTEMPTS
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in rpc_status.from_call(caught.value).details)
    assert 0 < retry.retry_delay.seconds <= 900
    assert unlocked(world, token, "fox", "2001:db8:1::1"), "from elsewhere"
    assert unlocked(world, other, "fox", "2001:db8::1"), "for another link"
    world.sql("UPDATE share_attempts SET until = now()")
    assert unlocked(world, token, "fox", "2001:db8::1"), "when the time is over"


def test_the_right_password_does_not_count_as_an_attempt(world, sharer):
    token = sharer.create(password="fox").token

    for _ in range(MOST_ATTEMPTS + 1):
        assert unlocked(world, token, "fox")


def test_guesses_at_once_do_not_slip_through(world, sharer):
    token = sharer.create(password="fox").token

    answers = at_once([partial(unlocked, world, token, "guess")] * (2 * MOST_ATTEMPTS))

    assert sorted(answers) == ["RESOURCE_EXHAUSTED"] * MOST_ATTEMPTS + ["UNAUTHENTICATED"] * MOST_ATTEMPTS


def test_attempts_that_are_over_do_not_stay(world, sharer):
    token = sharer.create(password="fox").token
    for number in range(3):
        assert refused(unlocked, world, token, "guess", f"192.0.2.{number}") == WRONG
    world.sql("UPDATE share_attempts SET until = now()")

    assert refused(unlocked, world, token, "guess", "192.0.2.9") == WRONG

    assert len(world.rows("share_attempts")) == 1
