"""What stories begin with."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.app.stories.browser import DESKTOP, PHONE, Screen
from texts import WORDS
from texts.words import Words


@dataclass(frozen=True)
class Place:
    """Where somebody sits, and what they wish for.

    Attributes:
        browser: Playwright's options of a context.
        tab: role of an entry of the bar or the rail.
    """

    say: Words
    browser: Mapping[str, Any]
    tab: str
    prompt: str


PLACES = [
    pytest.param(
        Place(WORDS["zh"], {"viewport": PHONE, "locale": "zh-CN"}, "tab", "雨后的江南古镇，水墨画"),
        id="on a phone, in Chinese",
        marks=pytest.mark.short,
    ),
    pytest.param(
        Place(WORDS["en"], {"viewport": DESKTOP, "locale": "en-US"}, "button", "a lighthouse at dusk"),
        id="on a desktop, in English",
    ),
]

PASSWORD = "correct horse battery"


def register(shown: Screen, say: Words) -> str:
    """Somebody new, at work. Returns the name."""
    name = f"user-{uuid4().hex[:12]}"
    shown.open()
    shown.press(say.to_register)
    shown.sees(say.create_account)
    shown.sees(say.to_sign_in)
    shown.type(say.username, name)
    shown.type(say.email, f"{name}@example.com")
    shown.type(say.password, PASSWORD)
    shown.press(say.create_account)
    shown.sees(say.generate)
    return name


@contextmanager
def with_token(url: str, name: str) -> Iterator[httpx.Client]:
    """A program of the person's."""
    with httpx.Client(base_url=url, timeout=20) as http:
        account = {"username": name, "password": PASSWORD}
        token = http.post("/api/v1/auth/login", json=account).raise_for_status().json()["access_token"]
        http.headers["authorization"] = f"Bearer {token}"
        yield http
