"""What the client's tests have in common."""

import os

import pytest

from app.static.folder import build

collect_ignore = [] if os.environ.get("STORIES") else ["stories"]
"""They have a process of their own (`make test-app`): while Playwright's synchronous API runs, its event loop is the
thread's, and no other test could have one.
"""


@pytest.fixture(scope="session")
def static_build(tmp_path_factory):
    """The Site of a static build; its folder is `app/<version>` in the one that a web server serves."""
    return build(tmp_path_factory.mktemp("static"))
