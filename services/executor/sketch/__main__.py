"""`python -m services.executor.sketch`: parse the command line and serve."""

import contextlib

from services.executor.sketch.server import run
from services.executor.sketch.settings import parse

if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        run(parse())
