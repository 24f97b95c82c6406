"""Makes the folder: `python -m app.static OUT [--server URL]`."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from app.static.folder import StrangersFiles, build

ORIGIN = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:\d+)?", re.ASCII)


def origin(text: str) -> str:
    """An address without a path; in a policy, a space or a semicolon after it would begin something."""
    if not ORIGIN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form https://images.example.org")
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="app.static", description=__doc__)
    parser.add_argument("out", type=Path, help="the folder; an earlier build in it is replaced")
    parser.add_argument("--server", type=origin, help="the gateway, where the folder has another origin")
    given = parser.parse_args(arguments)
    try:
        site = build(given.out, given.server or "")
    except StrangersFiles as error:
        parser.error(str(error))
    sys.stdout.write(f"Version {site.version} is in {given.out}.\n")


if __name__ == "__main__":
    main()
