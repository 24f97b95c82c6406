"""Who calls."""

from services.results.domain import OwnerId
from services.runtime.calls import person


def owner() -> OwnerId:
    """The person who calls, as the owner of what they ask for."""
    return OwnerId(person().user_id)
