"""DownloadResult: pictures in the width and format that somebody can use, in part or whole, and from where."""

import hashlib
import io
import zlib
from collections.abc import Iterator
from uuid import uuid4

import grpc
import httpx
import pytest
from imagegen.results.v1 import (
    picture_pb2,
)
from PIL import Image

from services.results.blobs import Blobs
from services.results.thumbhash import thumb_hash
from tests.identities import as_person
from tests.results.conftest import Refusal, World, refusal
from tests.results.downloading import AVIF, JPEG, LOST, PNG, SMALL, WEBP, a_picture, replica
from tests.results.pictures import a_png, chunk, header, png_of
from tests.results.store_servers import BUCKET

ByteRange = picture_pb2.ByteRange


def opened(chunks: list[bytes], format_: str) -> Image.Image:
    return Image.open(io.BytesIO(b"".join(chunks)), formats=[format_])


def test_without_a_wish_a_picture_comes_as_it_is_stored(world):
    owner, task = uuid4(), uuid4()
    stored = world.store(a_png(40, 30), owner=owner, task=task, index=1)

    picture, chunks = world.download(stored.id, as_person(owner))

    data = b"".join(chunks)
    assert picture == picture_pb2.Picture(
        media_type="image/png",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        width=40,
        height=30,
        length=len(data),
        file_name="a fox 2.png",
    )
    assert world.rows("variants") == []


@pytest.mark.parametrize(
    ("format_", "media_type", "name"),
    [
        (PNG, "image/png", "png"),
        (JPEG, "image/jpeg", "jpg"),
        (WEBP, "image/webp", "webp"),
        (AVIF, "image/avif", "avif"),
    ],
)
def test_a_variant_is_described_as_it_is_sent(world, format_, media_type, name):
    owner, result_id = a_picture(world)

    picture, chunks = world.download(result_id, as_person(owner), width=320, formats=[format_])

    data = b"".join(chunks)
    assert (picture.media_type, picture.width, picture.height) == (media_type, 320, 240)
    assert (picture.size_bytes, picture.length, picture.sha256) == (
        len(data),
        len(data),
        hashlib.sha256(data).hexdigest(),
    )
    assert picture.file_name == f"a fox.{name}"
    assert opened(chunks, media_type.partition("/")[2]).size == (320, 240)


def test_the_best_format_that_can_hold_the_picture_is_sent(world):
    owner = uuid4()
    long = world.store(a_png(20_000, 2), owner=owner).id

    assert world.download(long, as_person(owner), formats=[WEBP, JPEG])[0].media_type == "image/jpeg"
    assert world.download(long, as_person(owner), formats=[WEBP])[0].media_type == "image/png"


@pytest.mark.parametrize("formats", [[], [WEBP]])
@pytest.mark.parametrize(
    ("range_", "part"),
    [
        (ByteRange(first=0, last=9), slice(0, 10)),
        (ByteRange(first=10), slice(10, None)),
        (ByteRange(suffix_length=10), slice(-10, None)),
        (ByteRange(first=10, last=2**63 - 1), slice(10, None)),
        (ByteRange(suffix_length=2**63 - 1), slice(0, None)),
    ],
)
def test_a_range_is_sent_alone(world, formats, range_, part):
    owner, result_id = a_picture(world)
    _, chunks = world.download(result_id, as_person(owner), formats=formats)
    whole = b"".join(chunks)

    picture, chunks = world.download(result_id, as_person(owner), formats=formats, range=range_)

    assert b"".join(chunks) == whole[part]
    assert whole[picture.offset : picture.offset + picture.length] == whole[part]
    assert (picture.size_bytes, picture.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())


@pytest.mark.parametrize("range_", [ByteRange(suffix_length=0), ByteRange(first=2**40), ByteRange(first=2**63 - 1)])
def test_a_range_without_a_byte_is_refused_with_the_size(world, range_):
    owner = uuid4()
    stored = world.store(owner=owner)

    with pytest.raises(grpc.RpcError) as caught:
        world.download(stored.id, as_person(owner), range=range_)

    assert refusal(caught) == Refusal("OUT_OF_RANGE", "RANGE_NOT_SATISFIABLE")
    assert caught.value.details().startswith(f"the picture has {stored.size_bytes} bytes")


def test_a_range_of_other_bytes_is_answered_with_the_whole(world):
    owner = uuid4()
    stored = world.store(owner=owner)
    some = {"range": ByteRange(first=0, last=1)}

    same, _ = world.download(stored.id, as_person(owner), **some, if_range_sha256=stored.sha256)
    other, _ = world.download(stored.id, as_person(owner), **some, if_range_sha256="0" * 64)

    assert (same.length, other.length) == (2, stored.size_bytes)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"width": 99_999}, "width"),
        ({"width": 0}, "width"),
        ({"width": -160}, "width"),
        ({"formats": [WEBP] * 5}, "formats"),
        ({"formats": [0]}, "formats[0]"),
        ({"formats": [99]}, "formats[0]"),
        ({"range": ByteRange()}, "range.start"),
        ({"range": ByteRange(first=2, last=1)}, "range"),
        ({"range": ByteRange(first=-1)}, "range.first"),
        ({"if_range_sha256": "A"}, "if_range_sha256"),
    ],
)
def test_every_wish_has_its_rule(world, wanted, field):
    with pytest.raises(grpc.RpcError) as caught:
        world.download(str(uuid4()), as_person(), **wanted)
    assert refusal(caught) == Refusal("INVALID_ARGUMENT", "INVALID_FIELD", (field,))


@pytest.fixture
def s3(rclone) -> Blobs:
    """A store that hands bytes out itself."""
    return Blobs.from_url(f"s3://{BUCKET}/{uuid4()}", rclone.options(), redirects=True)


@pytest.fixture
def on_s3(world, s3) -> Iterator[World]:
    with replica(world, s3) as other:
        yield other


def test_a_store_that_can_hands_the_bytes_out_itself_for_ten_minutes_at_most(on_s3):
    owner, result_id = a_picture(on_s3)

    picture, chunks = on_s3.download(result_id, as_person(owner), **SMALL, redirect=True)

    assert 0 < picture.redirect_seconds <= 600
    assert f"X-Amz-Expires={picture.redirect_seconds}" in picture.redirect_url
    assert (picture.length, chunks) == (0, [])
    answer = httpx.get(picture.redirect_url, trust_env=False)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert hashlib.sha256(answer.content).hexdigest() == picture.sha256
    assert "X-Amz" not in str([on_s3.rows(table) for table in ("results", "variants", "orphans")])


def test_who_follows_no_redirect_gets_the_bytes_from_here(on_s3):
    owner, result_id = a_picture(on_s3)

    picture, chunks = on_s3.download(result_id, as_person(owner), **SMALL)

    assert (picture.redirect_url, picture.length) == ("", len(b"".join(chunks)))


def test_nobody_is_sent_to_where_the_picture_is_no_more(on_s3, s3):
    owner, result_id = a_picture(on_s3)
    s3.delete(f"{result_id}.png")

    with pytest.raises(grpc.RpcError) as caught:
        on_s3.download(result_id, as_person(owner), redirect=True)

    assert refusal(caught) == LOST


def test_every_picture_is_stored_with_a_thumb_hash(world):
    owner, png = uuid4(), a_png(400, 300)

    stored = world.store(png, owner=owner)

    with Image.open(io.BytesIO(png)) as image:
        assert stored.thumb_hash == thumb_hash(image)
    assert world.get(owner, stored.id).thumb_hash == stored.thumb_hash


def test_a_picture_that_pillow_cannot_open_is_kept_and_sent_as_it_is(world):
    profile = b"p\0\0" + zlib.compress(bytes(2_000_000))
    pixels = chunk(b"IDAT", zlib.compress(b"\0ab" * 2))
    owner = uuid4()

    stored = world.store(png_of(header(2, 2), chunk(b"iCCP", profile), pixels), owner=owner)

    assert stored.thumb_hash == b""
    picture, _ = world.download(stored.id, as_person(owner), formats=[WEBP])
    assert (picture.media_type, picture.sha256) == ("image/png", stored.sha256)
