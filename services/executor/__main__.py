"""The operator's command line: `python -m services.executor`."""

import argparse
import sys
from collections.abc import Sequence

from services.executor.commands import models, owners, queues, workers


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m services.executor", description="What an operator asks of the executor."
    )
    nouns = parser.add_subparsers(title="nouns", required=True, metavar="NOUN")
    for noun in (models, workers, queues, owners):
        noun.register(nouns)
    options = parser.parse_args(arguments)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
