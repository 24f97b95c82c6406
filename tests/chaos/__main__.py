"""python -m tests.chaos: an ordeal of any size.

Prints what was done and what became of every task. Exit 1 if a promise was broken.
"""

import argparse
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.chaos.ordeal import Account, Size, undergo

_LINES_OF_LOG = 12
_VIOLATIONS_WITH_LOG = 10
_PAUSES = 6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Hurt an installation and judge it.")
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--faults", type=int, default=88)
    parser.add_argument("--seconds", type=float, default=180.0, help="over which tasks and faults are spread")
    parser.add_argument("--engines", type=int, default=2, help="each with a worker of its own")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data-dir", type=Path, help="an empty folder, to be kept (default: a temporary one)")
    options = parser.parse_args()
    size = Size(options.tasks, options.users, options.faults, options.seconds, options.engines)
    say(f"seed {options.seed}: {size}", "", "Schedule")
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary:
        account = undergo(options.data_dir or Path(temporary), size, options.seed, tell=say)
    say(*report(account))
    sys.exit(bool(account.verdict.violations))


def report(account: Account) -> Iterable[str]:
    verdict = account.verdict
    yield from ("", f"Faults: {len(account.faults)}, of which {len(account.missed)} found no victim")
    yield from _crosstab(Counter((fault.victim, str(fault.kind)) for fault in account.faults))
    yield from ("", f"Tasks accepted: {verdict.accepted}")
    yield from _row("ended", verdict.ends)
    yield from _row("failed because", verdict.failures)
    yield from _row("failed attempts per job", verdict.attempts)
    yield from _row("claims per job", verdict.claims)
    if len(verdict.seconds) > 1:
        parts = statistics.quantiles(verdict.seconds, n=100, method="inclusive")
        yield f"  seconds to the end: p50 {parts[49]:.1f}, p95 {parts[94]:.1f}, max {max(verdict.seconds):.1f}"
    pauses = [f"{seconds:.1f} from {since:.1f}" for seconds, since in verdict.pauses[:_PAUSES]]
    yield f"  longest seconds without an end while somebody waited: {', '.join(pauses)}"
    yield f"  pictures: {verdict.pictures}; files that wait for the sweep: {verdict.left_for_the_sweep}"
    yield from ("", f"Violations: {len(verdict.violations)}")
    for number, violation in enumerate(verdict.violations):
        yield f"  {violation}"
        subject = violation.partition(":")[0]
        if number < _VIOLATIONS_WITH_LOG and len(subject) == len("00000000-0000-0000-0000-000000000000"):
            lines = [line for line in account.log.splitlines() if subject in line]
            yield from (f"      {line}" for line in lines[-_LINES_OF_LOG:])


def _row(name: str, counts: Mapping[object, int]) -> Iterable[str]:
    if counts:
        yield f"  {name}: " + ", ".join(f"{key} × {counts[key]}" for key in sorted(counts, key=str))


def _crosstab(counts: Mapping[tuple[str, str], int]) -> Iterable[str]:
    victims, kinds = (sorted({key[place] for key in counts}) for place in (0, 1))
    yield "  " + " ".join(["victim".ljust(12), *kinds])
    for victim in victims:
        cells = [str(counts.get((victim, kind), "·")).rjust(len(kind)) for kind in kinds]
        yield "  " + " ".join([victim.ljust(12), *cells])


def say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201 - this is its purpose


if __name__ == "__main__":
    main()
