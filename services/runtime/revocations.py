"""Which tokens count no longer although their signature is good and their time has not come."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

from services.runtime.errors import TokenRevoked


class Revocations:
    """Sessions and API keys that have been ended, each until the last token of it has expired by itself.

    Belongs to one event loop.
    """

    def __init__(self) -> None:
        self._expiries: dict[UUID, datetime] = {}
        self._watching: defaultdict[UUID, set[_Watch]] = defaultdict(set)

    def __contains__(self, sid: UUID) -> bool:
        return sid in self._expiries

    def __len__(self) -> int:
        return len(self._expiries)

    def add(self, revoked: Mapping[UUID, datetime]) -> None:
        """`sid` → when its last token expires. Ends what is being done under them."""
        now = datetime.now(UTC)
        self._expiries = {sid: expiry for sid, expiry in self._expiries.items() if expiry > now} | dict(revoked)
        for sid in revoked:
            for watch in self._watching.get(sid, ()):
                watch.end()

    @contextmanager
    def ending(self, sid: UUID) -> Iterator[None]:
        """Work under this session or key, in the current task. Raises TokenRevoked as soon as it is revoked."""
        if sid in self:
            raise TokenRevoked
        watch = _Watch()
        self._watching[sid].add(watch)
        try:
            yield
        except asyncio.CancelledError as error:
            # As asyncio.timeout does: a cancellation from elsewhere is not ours to swallow.
            if watch.ended and watch.task.uncancel() <= watch.cancelling:
                raise TokenRevoked from error
            raise
        finally:
            self._watching[sid].discard(watch)
            if not self._watching[sid]:
                del self._watching[sid]


class _Watch:
    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.cancelling = task.cancelling()
        self.ended = False

    def end(self) -> None:
        if not self.ended:
            self.ended = True
            self.task.cancel()
