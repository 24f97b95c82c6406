"""Retries that are safe: what a client marks a creating request with, and what tells it that the answer is a repeat."""

from typing import Annotated, Any

from fastapi import Header

HEADER = "Idempotency-Key"

IdempotencyKey = Annotated[
    str,
    Header(
        alias=HEADER,
        max_length=128,
        description="Makes a retry safe: a repeat is answered with what the first request made.",
    ),
]

REPLAYED: dict[str, Any] = {
    "Idempotent-Replayed": {
        "description": f"`true` if an earlier request with this {HEADER} made it.",
        "schema": {"type": "string"},
    }
}
"""For OpenAPI."""


def replayed(is_repeat: bool) -> dict[str, str]:
    """The headers of an answer."""
    return {"Idempotent-Replayed": "true"} if is_repeat else {}
