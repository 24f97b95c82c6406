"""What a client likes best among what can be offered (RFC 9110 §12.5)."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Literal

Language = Literal["en", "zh"]

WHOLE_TYPES = ("image/avif", "image/webp", "image/png", "image/jpeg")
REDUCED_TYPES = ("image/avif", "image/webp", "image/jpeg", "image/png")
"""Smallest first, but that the whole picture is there as PNG already, and without a loss."""


def likings(header: str) -> Mapping[str, float]:
    """Each item of an Accept header with its weight, without those of weight 0 and those that make no sense."""
    return {name: weight for name, weight in weights(header).items() if weight > 0}


def weights(header: str) -> Mapping[str, float]:
    """Each item of an Accept header with its weight, also if that is 0; without those that make no sense."""
    weighed: dict[str, float] = {}
    for item in header.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        with contextlib.suppress(ValueError):
            given = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
            weight = float(given[0]) if given else 1.0
            if 0 <= weight <= 1:
                weighed.setdefault(name, weight)
    return weighed


def preferred_language(accept_language: str) -> Language:
    """The better liked of Chinese and English; English if neither is named or what is sent makes no sense."""
    liked: dict[str, float] = {}
    for tag, liking in likings(accept_language).items():
        language = tag.partition("-")[0]
        if language in ("en", "zh"):
            liked.setdefault(language, liking)
    return "zh" if max(liked, key=liked.__getitem__, default="en") == "zh" else "en"


def prefers_json(accept: str) -> bool:
    """Whether JSON is liked better than HTML; a browser names HTML, a program often nothing."""
    liked = likings(accept)
    json = max(liked.get("application/json", 0), liked.get("application/problem+json", 0))
    return json > liked.get("text/html", 0)


def picture_types(accept: str, *, reduced: bool) -> Sequence[str]:
    """Media types in which a picture may be sent to who accepts these, best first.

    Among types that are named and liked equally, the smallest comes first. Who names none (`*/*`, or no header at all:
    plain image widgets do so) can be trusted with PNG, and with WebP for a picture that is `reduced` in size; to
    recompress the whole one behind the back of a program that asks for "the file" would be a surprise. Who accepts
    none of ours gets the same instead of 406 (RFC 9110 §12.5.1 leaves it open): a picture helps more than an error.
    """
    weighed = weights(accept)
    ours = REDUCED_TYPES if reduced else WHOLE_TYPES
    if named := [name for name in ours if weighed.get(name)]:
        return sorted(named, key=weighed.__getitem__, reverse=True)
    assumed = [name for name in ours[1:] if weighed.get(name) is None] if reduced else ["image/png"]
    return assumed or ["image/png"]
