"""The short form of people's stories, in a process of their own."""

import os
import subprocess
import sys

import pytest

from tests.app.stories import STORIES
from tests.app.stories.browser import CHROMIUM

SECONDS = 180


def test_people_find_their_way_in_a_real_browser(installation):
    if CHROMIUM is None:
        pytest.skip("NOT RUN: there is no Chromium here (Debian: apt-get install chromium)")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "STORIES": "1",
        "STORIES_INSTALLATION": f"{installation.url} {installation.data}",
    }
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-m", "short", str(STORIES)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ran.returncode == 0, ran.stdout
