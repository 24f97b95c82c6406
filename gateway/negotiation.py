"""What a client likes best among what can be offered (RFC 9110 §12.5)."""

import contextlib
from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "zh"]


def likings(header: str) -> Mapping[str, float]:
    """Each item of an Accept header with its weight, without those of weight 0 and those that make no sense."""
    liked: dict[str, float] = {}
    for item in header.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        with contextlib.suppress(ValueError):
            weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
            liking = float(weights[0]) if weights else 1.0
            if liking > 0:
                liked.setdefault(name, liking)
    return liked


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
