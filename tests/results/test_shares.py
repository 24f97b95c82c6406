"""Share links: what they show, to whom, and when they end."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from imagegen.results.v1 import picture_pb2, share_pb2
from imagegen.results.v1.share_service_pb2_grpc import ShareServiceStub
from PIL import Image

from services.results.blobs import Blobs
from services.results.domain import OwnerId
from services.results.server import results_server
from tests.identities import verifier
from tests.results.conftest import Refusal, World
from tests.results.pictures import a_png
from tests.results.sharing import (
    ENDED,
    HOUR,
    LOCKED,
    NOT_FOUND,
    RESULT_NOT_FOUND,
    THEY_EXPIRE,
    WRONG,
    Sharer,
    downloaded,
    opened,
    unlocked,
)
from tests.results.test_erasing import another, refused, tables
from tests.serving import running


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
