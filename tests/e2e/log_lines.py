"""What the processes of an installation have logged, as a collector reads it."""

import json
from collections.abc import Iterator
from typing import Any

from tests.installation import Installation

NOT_OURS = {"postgres", "valkey", "envoy", "sketch"}
"""They write lines of their own kinds."""


def lines_of(installation: Installation) -> Iterator[tuple[str, dict[str, Any]]]:
    """By process. Raises ValueError at a line of one of ours that is no JSON."""
    ours = installation.processes.keys() - NOT_OURS
    for line in installation.log.read_text().splitlines():
        process, _, told = line.partition(" | ")
        if told and process.strip() in ours:
            yield process.strip(), json.loads(told)
