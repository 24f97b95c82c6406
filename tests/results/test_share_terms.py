"""Making, changing and listing share links."""

from functools import partial

import pytest
import sqlalchemy as sa
from google.protobuf.duration_pb2 import Duration
from imagegen.results.v1 import share_pb2

from services.results.domain import MOST_SHARES
from tests.results.conftest import Refusal
from tests.results.sharing import ENDED, HOUR, NOT_FOUND, RESULT_NOT_FOUND, REUSED, TOO_MANY_SHARES, Sharer, opened
from tests.results.test_erasing import refused
from tests.results.test_races import at_once

TERMS = {"expires_in": HOUR, "password": "fox", "hide_prompt": True, "allow_download": True}


def test_a_repeated_request_makes_one_link_and_shows_its_token_once(world, sharer):
    first = sharer.create(request_id="once", **TERMS)
    repeat = sharer.create(request_id="once", **TERMS)

    assert (first.replayed, repeat.replayed, repeat.token) == (False, True, "")
    assert repeat.share == first.share
    assert len(world.rows("shares")) == 1


def test_a_repeat_is_known_again_after_the_link_was_changed(sharer):
    first = sharer.create(request_id="once", **TERMS)
    changed = sharer.update(first.share, never_expires=True, hide_prompt=False)
    sharer.revoke(first.share)

    repeat = sharer.create(request_id="once", **TERMS)

    assert repeat.share.revoke_time
    assert repeat.share.hide_prompt == changed.hide_prompt


@pytest.mark.parametrize(
    "other",
    [
        {"expires_in": Duration(seconds=3601)},
        {"expires_in": None},
        {"password": "hare"},
        {"password": None},
        {"hide_prompt": False},
        {"allow_download": False},
    ],
)
def test_another_request_under_the_same_id_is_refused(sharer, other):
    sharer.create(request_id="once", **TERMS)

    assert refused(sharer.create, request_id="once", **TERMS | other) == REUSED


def test_the_same_request_id_of_another_picture_is_refused_and_of_another_owner_is_not(world, sharer):
    sharer.create(request_id="once")
    second = world.store(owner=sharer.id)

    assert refused(sharer.create, request_id="once", result_id=second.id) == REUSED
    assert not Sharer(world).create(request_id="once").replayed


def test_requests_at_once_make_one_link(world, sharer):
    answers = at_once([partial(sharer.create, request_id="once", password="fox")] * 8)

    assert len({answer.share.id for answer in answers}) == 1
    assert len([answer for answer in answers if answer.token]) == 1


def test_a_picture_has_no_more_open_links_than_it_may(world, sharer):
    sharer.create()
    copies = (
        "INSERT INTO shares SELECT (r).* FROM (SELECT jsonb_populate_record(shares, jsonb_build_object("
        "'id', uuidv7(), 'token_hash', '\\x' || encode(sha256(n::text::bytea), 'hex'))) AS r"
        f" FROM shares, generate_series(1, {MOST_SHARES - 3}) AS n)"
    )
    world.sql(copies)

    answers = at_once([sharer.create] * 4)

    assert sorted(map(str, (isinstance(answer, str) for answer in answers))) == ["False", "False", "True", "True"]
    assert refused(sharer.create) == TOO_MANY_SHARES
    assert Sharer(world).create().token, "of another picture"
    ended, expired = sharer.listed(page_size=2).shares
    sharer.revoke(ended)
    made = sharer.create()
    world.sql(f"UPDATE shares SET expires_at = now() WHERE id = '{expired.id}'")
    sharer.create()
    assert refused(sharer.update, expired, never_expires=True) == TOO_MANY_SHARES
    assert sharer.update(made.share, hide_prompt=True)


def test_an_owner_sees_all_links_of_a_picture_newest_first_and_no_token(world, sharer):
    made = [sharer.create(password="fox", expires_in=HOUR) for _ in range(3)]
    sharer.revoke(made[0].share)
    second = world.store(owner=sharer.id)
    sharer.create(result_id=second.id)

    page = sharer.listed(page_size=2)
    rest = sharer.listed(page_size=2, page_token=page.next_page_token)

    assert [share.id for share in (*page.shares, *rest.shares)] == [one.share.id for one in reversed(made)]
    assert rest.next_page_token == ""
    assert rest.shares[0].HasField("revoke_time")
    assert not [one for one in made if one.token in str(page)]
    assert refused(sharer.listed, page_token="nonsense") == Refusal(
        "INVALID_ARGUMENT", "INVALID_CURSOR", ("page_token",)
    )


def test_an_owner_sees_the_links_of_all_pictures_those_of_deleted_ones_too(world, sharer):
    first = sharer.create()
    second = sharer.create(result_id=world.store(owner=sharer.id).id)
    Sharer(world).create()
    world.delete(sharer.id, sharer.picture.id)

    listed = sharer.listed(result_id="").shares

    assert [(share.id, share.result_id) for share in listed] == [
        (second.share.id, second.share.result_id),
        (first.share.id, ""),
    ]
    assert refused(sharer.listed) == RESULT_NOT_FOUND


def test_what_is_left_out_of_a_change_stays(sharer):
    made = sharer.create(**TERMS).share

    assert sharer.update(made) == made
    assert sharer.update(made, allow_download=False) == share_pb2.Share(
        id=made.id,
        result_id=made.result_id,
        has_password=True,
        hide_prompt=True,
        create_time=made.create_time,
        expire_time=made.expire_time,
    )
    assert not sharer.update(made, no_password=True).has_password


def test_somebody_elses_picture_and_link_are_not_found(world, sharer):
    made = sharer.create()
    other = Sharer(world)

    assert refused(other.create, result_id=sharer.picture.id) == RESULT_NOT_FOUND
    other.picture = sharer.picture
    assert refused(other.listed) == RESULT_NOT_FOUND
    assert refused(other.update, made.share, hide_prompt=True) == NOT_FOUND
    assert refused(other.revoke, made.share) == NOT_FOUND
    assert opened(world, made.token)
    assert sharer.listed().shares == [made.share]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"expires_in": Duration()}, "expires_in"),
        ({"expires_in": Duration(seconds=-1)}, "expires_in"),
        ({"expires_in": Duration(seconds=5 * 365 * 86_400 + 1)}, "expires_in"),
        ({"password": ""}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"request_id": "x" * 129}, "request_id"),
        ({"request_id": "\0"}, "request_id"),
        ({"result_id": "nonsense"}, "result_id"),
    ],
)
def test_terms_that_cannot_be_are_named(world, sharer, terms, field):
    assert refused(sharer.create, **terms) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", (field,))
    assert world.rows("shares") == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"expires_in": Duration()}, "expires_in"),
        ({"never_expires": False}, "never_expires"),
        ({"password": ""}, "password"),
        ({"no_password": False}, "no_password"),
    ],
)
def test_changes_that_cannot_be_are_named_and_change_nothing(sharer, changes, field):
    made = sharer.create(**TERMS).share

    assert refused(sharer.update, made, **changes) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", (field,))
    assert sharer.listed().shares == [made]


def test_a_link_that_is_made_while_its_picture_is_deleted_does_not_stay_open(world):
    for _ in range(5):
        sharer = Sharer(world)
        made, deleted = at_once([sharer.create, partial(world.delete, sharer.id, sharer.picture.id)])

        assert deleted is None
        if made != "NOT_FOUND":
            assert refused(opened, world, made.token) == ENDED


def test_the_database_itself_refuses_a_link_that_cannot_be(world, sharer):
    sharer.create(password="fox")

    for broken in ("token_hash = 'short'", "request_hash = 'short'", "password_hash = 'fox'", "result_id = uuidv7()"):
        with pytest.raises(sa.exc.IntegrityError):
            world.sql(f"UPDATE shares SET {broken}")
