"""One browser for every story, and one installation."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.app.stories.browser import CHROMIUM, launched
from tests.installation import Installation

GIVEN = os.environ.get("STORIES_INSTALLATION", "")
"""`url folder` of one that runs already; empty: one is started."""

if GIVEN:

    @pytest.fixture(scope="session")
    def installation() -> Installation:
        url, _, data = GIVEN.partition(" ")
        return Installation(url, Path(data))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("NOT RUN: there is no Chromium here (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = launched(playwright.chromium)
        yield chromium
        chromium.close()
