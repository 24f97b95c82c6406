"""The operator's command line: `python -m services.auth`."""

import argparse
import sys
from collections.abc import Sequence

from services.auth.commands import keys, roles


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.auth", description="What an operator does to accounts.")
    nouns = parser.add_subparsers(title="nouns", required=True, metavar="NOUN")
    for noun in (roles, keys):
        noun.register(nouns)
    options = parser.parse_args(arguments)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
