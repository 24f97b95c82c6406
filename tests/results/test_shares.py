"""Share links: what opens them, what ends them, and what is kept of them."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
import sqlalchemy as sa
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from imagegen.results.v1 import picture_pb2, result_pb2, share_pb2
from imagegen.results.v1 import share_service_pb2 as shares
from imagegen.results.v1.share_service_pb2_grpc import ShareServiceStub
from PIL import Image

from services.results.blobs import Blobs
from services.results.domain import MOST_ATTEMPTS, MOST_SHARES, TICKET_LIFETIME, OwnerId, ResultId, Share, ShareId
from services.results.links import ImageLinks
from services.results.server import results_server
from tests.identities import as_person, verifier
from tests.results.conftest import Refusal, World, refusal
from tests.results.pictures import a_png
from tests.results.test_erasing import another, refused, tables
from tests.results.test_races import at_once
from tests.serving import running

RESULT_NOT_FOUND = Refusal("NOT_FOUND", "RESULT_NOT_FOUND")
NOT_FOUND = Refusal("NOT_FOUND", "SHARE_NOT_FOUND")
ENDED = Refusal("FAILED_PRECONDITION", "SHARE_ENDED")
LOCKED = Refusal("UNAUTHENTICATED", "SHARE_LOCKED")
WRONG = Refusal("UNAUTHENTICATED", "SHARE_PASSWORD_WRONG")
TOO_MANY_ATTEMPTS = Refusal("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS")
TOO_MANY_SHARES = Refusal("RESOURCE_EXHAUSTED", "TOO_MANY_SHARES")
REUSED = Refusal("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
HOUR = Duration(seconds=3600)
THEY_EXPIRE = "UPDATE shares SET expires_at = now()"


class Sharer:
    """The owner of one picture, who shares it."""

    def __init__(self, world: World, png: bytes | None = None, **recipe: object) -> None:
        self.world = world
        self.id = uuid4()
        self.picture: result_pb2.Result = world.store(png, owner=self.id, **recipe)

    def create(self, **terms: Any) -> shares.CreateShareResponse:
        request = shares.CreateShareRequest(**{"result_id": self.picture.id} | terms)
        return self.world.shares.CreateShare(request, metadata=as_person(self.id))

    def update(self, share: share_pb2.Share, **changes: Any) -> share_pb2.Share:
        request = shares.UpdateShareRequest(share_id=share.id, **changes)
        return self.world.shares.UpdateShare(request, metadata=as_person(self.id)).share

    def revoke(self, share: share_pb2.Share) -> None:
        self.world.shares.RevokeShare(shares.RevokeShareRequest(share_id=share.id), metadata=as_person(self.id))

    def listed(self, **fields: Any) -> shares.ListSharesResponse:
        request = shares.ListSharesRequest(**{"result_id": self.picture.id} | fields)
        return self.world.shares.ListShares(request, metadata=as_person(self.id))


@pytest.fixture
def sharer(world) -> Sharer:
    return Sharer(world)


def opened(world: World, token: str, ticket: str = "") -> share_pb2.SharedPicture:
    return world.shares.OpenShare(shares.OpenShareRequest(token=token, ticket=ticket)).picture


def unlocked(world: World, token: str, password: str, address: str = "192.0.2.1") -> str:
    request = shares.UnlockShareRequest(token=token, password=password)
    return world.shares.UnlockShare(request, metadata=(("x-forwarded-for", address),)).ticket


def downloaded(world: World, token: str, ticket: str = "", **wanted: Any) -> tuple[picture_pb2.Picture, bytes]:
    """What was said of the picture, and its bytes."""
    request = shares.DownloadShareRequest(token=token, ticket=ticket, **wanted)
    first, *others = world.shares.DownloadShare(request, timeout=30)
    return first.picture, b"".join(message.chunk for message in others)


def test_a_link_shows_anybody_the_picture_and_nothing_of_its_owner(world):
    sharer = Sharer(world, prompt="a fox in the snow", model="sdxl")
    token = sharer.create().token

    assert opened(world, token) == share_pb2.SharedPicture(
        width=sharer.picture.width,
        height=sharer.picture.height,
        create_time=sharer.picture.create_time,
        prompt="a fox in the snow",
        model="sdxl",
    )
    picture, data = downloaded(world, token)
    assert (picture.size_bytes, picture.redirect_url) == (len(data), "")
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (sharer.picture.width, sharer.picture.height)


def test_a_hidden_prompt_takes_the_model_with_it_and_names_no_file(world):
    sharer = Sharer(world, prompt="a fox in the snow")
    hidden, told = (sharer.create(hide_prompt=hide, allow_download=True).token for hide in (True, False))

    seen = opened(world, hidden)

    assert (seen.prompt, seen.model) == ("", "")
    assert "fox" not in downloaded(world, hidden, original=True)[0].file_name
    assert downloaded(world, told, original=True)[0].file_name == "a fox in the snow.png"


def test_the_original_is_only_given_to_whom_its_owner_lets_have_it(world, sharer):
    kept, given = sharer.create(), sharer.create(allow_download=True)

    assert refused(downloaded, world, kept.token, original=True) == Refusal("PERMISSION_DENIED", "DOWNLOAD_NOT_ALLOWED")
    picture, data = downloaded(world, given.token, original=True, width=160, formats=[picture_pb2.PICTURE_FORMAT_WEBP])
    assert picture.sha256 == hashlib.sha256(data).hexdigest() == sharer.picture.sha256
    assert opened(world, given.token).allow_download


def test_who_may_not_download_sees_a_copy_of_at_most_1280_pixels(world):
    sharer = Sharer(world, a_png(width=1500, height=30))
    kept, given = sharer.create().token, sharer.create(allow_download=True).token
    png, webp = picture_pb2.PICTURE_FORMAT_PNG, picture_pb2.PICTURE_FORMAT_WEBP

    def shape(token: str, **wanted: Any) -> tuple[str, int, int]:
        picture, _ = downloaded(world, token, **wanted)
        return picture.media_type, picture.width, picture.height

    assert shape(kept) == shape(kept, formats=[png]) == ("image/jpeg", 1280, 26)
    assert shape(kept, width=1920, formats=[png, webp]) == ("image/webp", 1280, 26)
    assert shape(kept, width=320, formats=[webp]) == ("image/webp", 320, 6)
    assert shape(given, formats=[png]) == ("image/png", 1500, 30)
    assert shape(given, width=320, formats=[png]) == ("image/png", 320, 6)
    assert refused(shape, kept, width=321) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", ("width",))


def test_a_token_is_256_random_bits_and_no_two_are_alike(sharer):
    tokens = {sharer.create().token for _ in range(20)}

    assert len(tokens) == 20
    assert {len(token) for token in tokens} == {43}


def test_neither_token_nor_password_nor_address_is_kept(world, sharer):
    secret = f"password {uuid4()}"
    token = sharer.create(password=secret).token
    assert refused(unlocked, world, token, "guess", "198.51.100.7") == WRONG

    held = tables(world)

    for trace in (token, secret, "guess", "198.51.100.7"):
        assert trace not in held


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 128, "../../etc/passwd", "\r\nSet-Cookie: a=b", "\0"])
def test_a_token_that_nobody_was_given_is_not_found(world, sharer, token):
    sharer.create()

    assert refused(opened, world, token) == NOT_FOUND
    assert refused(downloaded, world, token) == NOT_FOUND
    assert refused(unlocked, world, token, "password") == NOT_FOUND


def test_an_expired_link_has_ended_until_it_gets_a_later_end(world, sharer):
    made = sharer.create(expires_in=HOUR)
    assert made.share.expire_time.seconds - made.share.create_time.seconds == 3600
    world.sql(THEY_EXPIRE)

    assert refused(opened, world, made.token) == ENDED
    assert refused(downloaded, world, made.token) == ENDED
    assert refused(unlocked, world, made.token, "password") == ENDED

    sharer.update(made.share, expires_in=HOUR)
    assert opened(world, made.token)
    assert not sharer.update(made.share, never_expires=True).HasField("expire_time")


def test_a_revoked_link_has_ended_for_good(world, sharer):
    made = sharer.create(password="fox")
    ticket = unlocked(world, made.token, "fox")

    sharer.revoke(made.share)
    revoked_at = sharer.listed().shares[0].revoke_time
    sharer.revoke(made.share)

    assert sharer.listed().shares[0].revoke_time == revoked_at
    assert refused(opened, world, made.token, ticket) == ENDED
    assert refused(downloaded, world, made.token, ticket) == ENDED
    assert refused(unlocked, world, made.token, "fox") == ENDED
    assert refused(sharer.update, made.share, never_expires=True) == ENDED


def test_the_link_of_a_deleted_picture_has_ended(world, sharer):
    made = sharer.create(request_id="once")

    world.delete(sharer.id, sharer.picture.id)

    assert refused(opened, world, made.token) == ENDED
    assert refused(sharer.update, made.share, hide_prompt=True) == ENDED
    assert refused(sharer.create, request_id="once") == RESULT_NOT_FOUND
    sharer.revoke(made.share)


def test_the_links_of_a_discarded_task_have_ended(world, sharer):
    token = sharer.create().token

    world.discard(UUID(sharer.picture.task_id), sharer.id)

    assert refused(opened, world, token) == ENDED


def test_nothing_is_left_of_the_links_of_an_erased_owner(world, sharer):
    other = Sharer(world).create()
    ended, made = sharer.create(), sharer.create(request_id="once")
    sharer.revoke(ended.share)

    assert world.results.storing.erase(OwnerId(sharer.id))

    assert refused(opened, world, made.token) == NOT_FOUND
    assert refused(sharer.create) == RESULT_NOT_FOUND
    held = tables(world)
    assert str(sharer.id) not in held
    assert made.share.id not in held
    assert opened(world, other.token)


@contextmanager
def another_replica(world: World) -> Iterator[ShareServiceStub]:
    with (
        another(world, Blobs.from_url(world.folder.as_uri())) as results,
        running(results_server(results, verifier("results", world.authority), threads=8)) as address,
        grpc.insecure_channel(address) as channel,
    ):
        yield ShareServiceStub(channel)


def test_what_one_replica_has_changed_is_so_on_every_other_at_once(world, sharer):
    made = sharer.create(password="fox")
    with another_replica(world) as shares_there:
        there = replace(world, shares=shares_there)
        ticket = unlocked(there, made.token, "fox")
        assert opened(there, made.token, ticket)

        sharer.update(made.share, password="hare")
        assert refused(opened, there, made.token, ticket) == LOCKED
        sharer.update(made.share, no_password=True)
        assert opened(there, made.token)
        sharer.revoke(made.share)
        assert refused(opened, there, made.token) == ENDED
        assert refused(downloaded, there, made.token) == ENDED


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
