"""One browser for every story."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.app.browser import CHROMIUM, launched

collect_ignore = [] if os.environ.get("THOROUGH") else ["test_stories.py"]
"""A browser that paints in software is slow: `make test` goes the main way alone."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("NOT RUN: there is no Chromium here (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = launched(playwright)
        yield chromium
        chromium.close()
