"""One browser for every story."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.app.browser import CHROMIUM, launched

collect_ignore = [] if os.environ.get("STORIES") else ["test_story.py"]
"""They have a process of their own (`make test-app`): while Playwright's synchronous API runs, its event loop is the
thread's, and no other test could have one.
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("NOT RUN: there is no Chromium here (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = launched(playwright)
        yield chromium
        chromium.close()
