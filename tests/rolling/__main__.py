"""python -m tests.rolling: replaces every process of an installation one by one while people use it.

With --from, the installation is an earlier revision's at first, and gets today's schema and then today's processes.
Prints what became of requests, streams and tasks. Exit 1 if any failed, did not resume or was lost.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.rolling.update import ONE_BY_ONE, Account, roll
from tests.rolling.upgrade import CannotUpgrade, Upgrade, upgrade

_SHOWN = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.rolling", description="Update an installation under load.")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--data-dir", type=Path, help="an empty folder, to be kept (default: a temporary one)")
    parser.add_argument(
        "--from",
        dest="revision",
        nargs="?",
        const="",
        metavar="REVISION",
        help="where it begins, as git names it (alone: the newest tag, or what was before the newest migration)",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rolling-") as temporary:
        data = options.data_dir or Path(temporary)
        if options.revision is None:
            account = roll(data, options.users, ONE_BY_ONE, tell=say)
        else:
            try:
                done = upgrade(data, options.revision, options.users, tell=say)
            except CannotUpgrade as refusal:
                sys.exit(str(refusal))
            say(*changes(done))
            account = done.account
    say(*report(account))
    tally = account.tally
    sys.exit(bool(tally.failed or tally.stuck or tally.lost))


def changes(done: Upgrade) -> Iterable[str]:
    yield from ("", f"From {done.revision}", "", "Schema")
    yield from (f"  {context:14}{before:>7} -> {after}" for context, (before, after) in done.schemas.items())


def report(account: Account) -> Iterable[str]:
    tally = account.tally
    yield from ("", "Answered by")
    yield from (f"  {name:14}{count:7}" for name, count in sorted(account.served.items()))
    yield from ("", "Requests")
    yield from (f"  {what:14}{count:7}" for what, count in sorted(tally.requests.items()))
    yield from ("", f"replicas replaced          {len(account.replaced):7}")
    yield f"requests                   {tally.requests.total():7}"
    yield f"  failed                   {len(tally.failed):7}"
    yield f"event streams              {tally.streams:7}"
    yield f"  cut, and resumed         {tally.cut - len(tally.stuck):7}"
    yield f"  cut, and not resumed     {len(tally.stuck):7}"
    yield f"tasks accepted             {len(tally.accepted):7}"
    yield f"  lost                     {len(tally.lost):7}"
    yield from (f"! {line}" for line in (*tally.failed, *tally.stuck, *tally.lost)[:_SHOWN])


def say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201 - this is its purpose


if __name__ == "__main__":
    main()
