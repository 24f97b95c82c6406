"""pip-audit over the lock: known vulnerabilities of what we install.

    python -m tests.security.audit

It asks a service outside. Where that cannot be reached it says so and that nothing was audited, and ends well: a build
must not fail because somebody else is away.
"""

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PIP_AUDIT = "pip-audit==2.10.1"


def main() -> int:
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "tool", "run", PIP_AUDIT, "-r", "requirements.lock", "--disable-pip", "--require-hashes"]
    run = subprocess.run([*command, "-f", "json"], check=False, cwd=PROJECT, capture_output=True, text=True)
    try:
        packages = json.loads(run.stdout)["dependencies"]
    except json.JSONDecodeError:
        packages = []
    audited = [package for package in packages if "skip_reason" not in package]
    if not audited:
        reasons = [package["skip_reason"] for package in packages] or run.stderr.strip().splitlines()[-1:]
        say(f"NOT RUN: no vulnerability service could be asked from here: {reasons[0]}")
        return 0
    found = [(package, hole) for package in audited for hole in package["vulns"]]
    for package, hole in found:
        fixed = ", ".join(hole["fix_versions"]) or "nothing yet"
        say(f"{package['name']} {package['version']}: {hole['id']}, fixed in {fixed}")
    say(f"{len(audited)} of {len(packages)} packages audited, {len(found)} vulnerabilities")
    return 1 if found or len(audited) < len(packages) else 0


def say(text: str) -> None:
    print(f"pip-audit: {text}")  # noqa: T201 - the outcome is what this program is for


if __name__ == "__main__":
    sys.exit(main())
