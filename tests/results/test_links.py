from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.results.domain import LinkInvalid, ResultId
from services.results.links import ImageLink, ImageLinks

KEY = bytes(range(32))
LINKS = ImageLinks(KEY)
PICTURE = ResultId(uuid4())
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)

moments = st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


@given(moments)
def test_a_link_lives_between_one_day_and_two(now):
    link = LINKS.sign(PICTURE, now)

    assert DAY.total_seconds() <= link.expires - now.timestamp() < 2 * DAY.total_seconds()
    LINKS.check(PICTURE, link, now + DAY - timedelta(microseconds=1))
    with pytest.raises(LinkInvalid):
        LINKS.check(PICTURE, link, now + 2 * DAY)


def test_a_picture_keeps_its_link_for_a_whole_day():
    through_the_day = {LINKS.sign(PICTURE, MIDNIGHT + timedelta(seconds=second)) for second in (1, 43_200, 86_400)}

    assert len(through_the_day) == 1
    assert LINKS.sign(PICTURE, MIDNIGHT + DAY + timedelta(seconds=1)) not in through_the_day


def test_a_link_ends_with_the_second_that_it_names():
    link = LINKS.sign(PICTURE, MIDNIGHT)
    end = datetime.fromtimestamp(link.expires, UTC)

    LINKS.check(PICTURE, link, end - timedelta(microseconds=1))
    with pytest.raises(LinkInvalid):
        LINKS.check(PICTURE, link, end)


@pytest.mark.parametrize(
    ("picture", "change"),
    [
        (ResultId(uuid4()), lambda link: link),
        (PICTURE, lambda link: ImageLink(link.expires + 1, link.signature)),
        (PICTURE, lambda link: ImageLink(link.expires, link.signature[:-1])),
        (PICTURE, lambda link: ImageLink(link.expires, link.signature + "=")),
        (PICTURE, lambda link: ImageLink(link.expires, "")),
        (PICTURE, lambda link: ImageLinks(bytes(32)).sign(PICTURE, MIDNIGHT)),
    ],
    ids=["another picture", "a later end", "cut", "padded", "empty", "another key"],
)
def test_a_link_that_was_not_made_so_is_refused(picture, change):
    with pytest.raises(LinkInvalid):
        LINKS.check(picture, change(LINKS.sign(PICTURE, MIDNIGHT)), MIDNIGHT)


def test_a_link_outlives_the_key_that_signed_it_as_long_as_that_is_believed():
    link = LINKS.sign(PICTURE, MIDNIGHT)
    new = bytes(32)

    ImageLinks(new, KEY).check(PICTURE, link, MIDNIGHT)
    with pytest.raises(LinkInvalid):
        ImageLinks(new).check(PICTURE, link, MIDNIGHT)
    assert ImageLinks(new, KEY).sign(PICTURE, MIDNIGHT) == ImageLinks(new).sign(PICTURE, MIDNIGHT)


def test_a_signature_survives_in_a_url():
    signatures = "".join(LINKS.sign(ResultId(uuid4()), MIDNIGHT).signature for _ in range(50))

    assert signatures.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused(size):
    with pytest.raises(ValueError, match="32 bytes"):
        ImageLinks(KEY, bytes(size))
