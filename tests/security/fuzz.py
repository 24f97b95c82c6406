"""schemathesis over the whole OpenAPI document, as two people who must not see each other's things.

    python -m tests.security.fuzz --examples 50 --seed 1

What it does not do as those two is in `ENDING`: one such call and the rest of the run is refused. Somebody else, whose
session each may end, makes them; and an operator tries what is for operators.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.accounts import Account, an_operator
from tests.installation import UNLIMITED, Installation, running_installation

ENDING = ("logout", "logout_everywhere", "end_session", "change_password", "delete_me")
"""By operation id: what ends the session that the run speaks in, or others of it."""

ALL_BUT_ENDING = [f"--exclude-operation-id={name}" for name in ENDING]
OPERATORS = ["--include-path-regex=^/api/v1/admin/"]

RULES_BEYOND_THE_SCHEMA = ["2xx", "3xx", "400", "401", "403", "404", "409", "410", "415", "422", "429"]
"""What a request may get although it fits the schema: no model of that name, a width that is no multiple of eight, a
password among the common ones. 5xx is not among them."""

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
"""What is tried where it is not declared. QUERY is unknown to Envoy, which refuses the whole line as no HTTP."""


def configuration(folder: Path, people: dict[str, Account]) -> Path:
    """The file that schemathesis is told by."""
    bearers = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {person.token}"}]}
        for name, person in people.items()
    ]
    document = folder / "people.json"
    document.write_text(json.dumps({"auth": bearers}))
    path = folder / "schemathesis.toml"
    peers = f"peers = {json.dumps(list(people))}" if len(people) > 1 else ""
    path.write_text(f"""\
continue-on-failure = true
suppress-health-check = ["all"]
max-stream-events = 1
request-timeout = 20

[cache]
enabled = false

[generation]
database = "none"

[phases.coverage]
unexpected-methods = {json.dumps(METHODS)}

[checks.positive_data_acceptance]
expected-statuses = {json.dumps(RULES_BEYOND_THE_SCHEMA)}

[auth.wfc]
path = {json.dumps(str(document))}
{peers}
""")
    return path


def fuzz(
    installation: Installation,
    people: dict[str, Account],
    *,
    examples: int,
    seed: int,
    only: Sequence[str] = ALL_BUT_ENDING,
) -> tuple[int, str]:
    """The exit code, 0 if there is nothing to complain of, and what was printed. `only`: schemathesis' own filters."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(configuration(Path(folder), people)), "run"),
            *("--checks", "all", "--max-examples", str(examples), "--seed", str(seed), "--no-color", *only),
            f"{installation.url}/openapi.json",
        ]
        run = subprocess.run(
            command, check=False, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    return run.returncode, run.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=50, help="of each operation and phase, at most")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="imagegen-fuzz-", ignore_cleanup_errors=True) as folder,
        running_installation(Path(folder), SKETCH_STEP_SECONDS="0", **UNLIMITED) as installation,
    ):
        runs = [({name: Account(installation) for name in ("one", "other")}, ALL_BUT_ENDING)]
        runs += [({"third": Account(installation)}, [f"--include-operation-id={name}"]) for name in ENDING]
        runs += [({"operator": an_operator(installation)}, OPERATORS)]
        codes = []
        for people, only in runs:
            code, printed = fuzz(installation, people, examples=options.examples, seed=options.seed, only=only)
            sys.stdout.write(printed)
            codes.append(code)
    sys.exit(max(codes))


if __name__ == "__main__":
    main()
