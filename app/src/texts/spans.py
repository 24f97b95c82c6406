"""Times and spans of time as people speak, so that what is shown changes seldom."""

from datetime import datetime

from api.resources import Eta
from texts.words import Words


def remaining(eta: Eta, now: datetime, say: Words) -> str:
    half, most = (eta.p50 - now).total_seconds(), (eta.p90 - now).total_seconds()
    if most <= 0:
        return say.late
    soon, later = span(half, say), span(most, say)
    return say.about.format(half=soon) if soon == later else say.about_at_most.format(half=soon, most=later)


def span(seconds: float, say: Words) -> str:
    """Seconds in fives, then minutes, hours, days."""
    if seconds < 60:
        return say.seconds.format(n=max(5 * -int(-seconds // 5), 5))
    if seconds < 90 * 60:
        return say.minutes.format(n=round(seconds / 60))
    if seconds < 48 * 3600:
        return say.hours.format(n=round(seconds / 3600))
    return say.days.format(n=round(seconds / 86400))


def since(moment: datetime, now: datetime, say: Words) -> str:
    """How long ago."""
    seconds = (now - moment).total_seconds()
    return say.just_now if seconds < 60 else say.ago.format(span=span(seconds, say))


def until(moment: datetime, now: datetime, say: Words) -> str:
    """How soon."""
    return say.from_now.format(span=span((moment - now).total_seconds(), say))
