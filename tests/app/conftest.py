"""What the client's tests have in common."""

import os

collect_ignore = [] if os.environ.get("STORIES") else ["stories"]
"""They have a process of their own (`make test-app`): while Playwright's synchronous API runs, its event loop is the
thread's, and no other test could have one.
"""
