"""How many of each service run, which share the work and are replaced one by one."""

from collections.abc import Mapping, Sequence

MOST_REPLICAS = 4  # each is a process of 100 MB; more of them on one machine serve nobody faster


class ReplicasRefused(Exception):
    """The text is one sentence for whoever set REPLICAS."""


def replicas_of(given: Mapping[str, str]) -> int:
    """REPLICAS of the caller's environment; one if it says nothing.

    Raises:
        ReplicasRefused: it is no number, or one out of range.
    """
    asked = given.get("REPLICAS") or "1"
    if asked not in map(str, range(1, MOST_REPLICAS + 1)):
        raise ReplicasRefused(f"REPLICAS must be a number from 1 to {MOST_REPLICAS}, not {asked!r}.")
    return int(asked)


def replica_names(service: str, replicas: int) -> Sequence[str]:
    """`auth`, `auth-2`, …: the processes of one service."""
    return [service, *(f"{service}-{number}" for number in range(2, replicas + 1))]
