"""Whether an engine or its worker works, as the worker sees it: both can run on while nothing in them moves."""

import asyncio
from collections.abc import AsyncIterator, Callable

from deploy.local.loopback import request

Opinion = Callable[[], bool | None]
"""Whether it works, or None if nobody says so clearly; asked again and again, in a thread."""

LOOK_SECONDS = 3.0  # twice that is little beside the load of a model, and time to see that the engine was restarted
_OK, _UNAVAILABLE = 200, 503


def works(worker: str, path: str) -> Opinion:
    """What the worker that listens on `host:port` says of its engine (/engine) or of itself (/worker).

    Its silence says nothing: it may be starting.
    """

    def ask() -> bool | None:
        try:
            status, _ = request("GET", worker, path)
        except OSError:
            return None
        return {_OK: True, _UNAVAILABLE: False}.get(status)

    return ask


async def until_denied_twice(opinion: Opinion, look_seconds: float = LOOK_SECONDS) -> None:
    """Returns when the answer was twice no, without a yes between."""
    denials = 0
    while denials < 2:
        await asyncio.sleep(look_seconds)
        match await asyncio.to_thread(opinion):
            case True:
                denials = 0
            case False:
                denials += 1


async def changes(opinion: Opinion, look_seconds: float = LOOK_SECONDS) -> AsyncIterator[bool]:
    """Gives each clear answer that differs from the one before it; the first only if it is no."""
    before = True
    while True:
        await asyncio.sleep(look_seconds)
        now = await asyncio.to_thread(opinion)
        if now is not None and now != before:
            before = now
            yield now
