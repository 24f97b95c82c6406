import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.filenames import attachment

VALUE = re.compile(r"attachment; filename=\"([ !#$&-\[\]-~]+)\"(?:; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]+))?")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a fox.png", 'attachment; filename="a fox.png"'),
        ("café.png", "attachment; filename=\"cafe.png\"; filename*=UTF-8''caf%C3%A9.png"),
        ("猫.png", "attachment; filename=\"picture.png\"; filename*=UTF-8''%E7%8C%AB.png"),
        ('50% "off".png', "attachment; filename=\"50 off.png\"; filename*=UTF-8''50%25%20%22off%22.png"),
        ("", "attachment; filename=\"picture\"; filename*=UTF-8''"),
    ],
)
def test_a_name_of_any_language_is_sent_with_a_plain_one_beside_it(name, value):
    assert attachment(name) == value


@given(st.text(min_size=1))
def test_no_name_can_end_the_header_and_every_one_can_be_read_back(name):
    found = VALUE.fullmatch(attachment(name))
    assert found, attachment(name)
    plain, encoded = found.groups()
    assert (unquote(encoded) if encoded else plain) == name.encode("utf-8", "replace").decode()
