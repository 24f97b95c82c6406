"""Which format of a picture is sent to whom."""

import pytest

from gateway.negotiation import picture_types

AVIF, WEBP, JPEG, PNG = "image/avif", "image/webp", "image/jpeg", "image/png"

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SAFARI = "image/webp,image/avif,image/jxl,image/heic,video/*;q=0.8,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"


@pytest.mark.parametrize("browser", [CHROME, SAFARI, FIREFOX])
@pytest.mark.parametrize("reduced", [True, False])
def test_a_browser_gets_the_smallest_that_it_names(browser, reduced):
    assert picture_types(browser, reduced=reduced)[:2] == [AVIF, WEBP]


@pytest.mark.parametrize(
    "accept", ["", "*/*", "image/*", "image/*, */*;q=0.1", "application/json", "text/html,*/*;q=0.8"]
)
def test_who_names_no_format_gets_the_picture_as_it_is_or_a_small_webp(accept):
    assert picture_types(accept, reduced=False) == [PNG]
    assert picture_types(accept, reduced=True)[0] == WEBP


@pytest.mark.parametrize(
    ("accept", "types"),
    [
        ("image/jpeg", [JPEG]),
        ("IMAGE/WEBP", [WEBP]),
        ("image/webp;q=0.5, image/jpeg;q=0.9", [JPEG, WEBP]),
        ("image/avif;q=0.5, image/webp;q=0.5, image/png", [PNG, AVIF, WEBP]),
        ("image/avif;q=0, image/webp, */*", [WEBP]),
        ("image/webp;q=nonsense, image/jpeg", [JPEG]),
        ("image/webp;q=7, image/jpeg", [JPEG]),
        ("image/webp;q=nan, image/jpeg", [JPEG]),
    ],
)
def test_weights_decide_among_what_is_named(accept, types):
    assert picture_types(accept, reduced=True) == types


def test_what_is_refused_by_name_is_not_assumed():
    assert picture_types("image/webp;q=0, */*", reduced=True) == [JPEG, PNG]


@pytest.mark.parametrize("accept", ["image/heic", "text/plain", "image/png;q=0", ",;,q=1", "*/*;q=0"])
def test_who_accepts_none_of_ours_gets_a_picture_all_the_same(accept):
    assert picture_types(accept, reduced=False) == [PNG]
    assert picture_types(accept, reduced=True)
