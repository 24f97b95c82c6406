"""Whose tokens count, as auth itself knows it, and tells the other services.

Any replica may end a session or revoke a key, so each looks at the table of revocations a few times a second. A row is
seen when its transaction commits, which is later than it was written: a look goes back further than any transaction
lasts, and passes over what is known.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.auth import store
from services.auth.api_keys import ApiKeys
from services.auth.signing import SigningKeys
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable
from services.runtime.logs import describe
from services.runtime.revocations import Revocations

log = structlog.get_logger()

LOOK_SECONDS = 0.2
"""Of the second within which every service is to know, a fifth."""

WINDOW = timedelta(minutes=2)
"""Longer than a transaction goes on after it has written a row: of the few statements that follow, each ends within
ten seconds, as does the time between two of them (runtime/database.py).
"""

Revoked = Mapping[UUID, datetime]


class LocalAuthority:
    """What `RemoteAuthority` is to the other services. Belongs to one event loop."""

    def __init__(
        self, database: Database, signing_keys: SigningKeys, api_keys: ApiKeys, clock: Callable[[], datetime]
    ) -> None:
        self.revocations = Revocations()
        self._database = database
        self._signing_keys = signing_keys
        self._api_keys = api_keys
        self._clock = clock
        self._known: dict[UUID, datetime] = {}
        self._has_looked = asyncio.Event()
        self._watching: set[asyncio.Queue[Revoked]] = set()

    async def public_key(self, kid: str) -> Ed25519PublicKey | None:
        return await self._signing_keys.find_public(kid)

    async def exchange(self, api_key: str) -> str:
        token, _ = await asyncio.to_thread(self._api_keys.exchange, api_key)
        return token

    async def watch(self) -> AsyncGenerator[Revoked, None]:
        """First all revocations that still matter, which may be none, then the new ones as they are seen."""
        await self._has_looked.wait()
        news: asyncio.Queue[Revoked] = asyncio.Queue()
        self._watching.add(news)
        try:
            yield dict(self._known)
            while True:
                yield await news.get()
        finally:
            self._watching.discard(news)

    async def follow(self) -> None:
        """Look for ever, whatever a look raises; meanwhile the last known set holds."""
        looked, failing = float("-inf"), False
        # A thread of its own: a look waits for no flood of calls.
        thread = ThreadPoolExecutor(1, thread_name_prefix="revocations")
        try:
            while True:
                began = time.monotonic()
                is_gapless = began - looked < WINDOW.total_seconds() / 2
                try:
                    look = partial(self._look, WINDOW if is_gapless else None)
                    self._tell(await asyncio.get_running_loop().run_in_executor(thread, look))
                    looked, failing = began, False
                except DependencyUnavailable as error:
                    if not failing:
                        log.warning("revocations are not followed just now", error=str(error))
                    failing = True
                except Exception as error:  # noqa: BLE001 - the next look may do better
                    log.error("a look at revocations failed", **describe(error))  # noqa: TRY400 - may be private
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            thread.shutdown(wait=False)

    def _look(self, written_within: timedelta | None) -> Revoked:
        with self._database.transaction() as tx:
            return store.list_revocations(tx, self._clock(), written_within=written_within)

    def _tell(self, seen: Revoked) -> None:
        now = self._clock()
        new = {sid: expiry for sid, expiry in seen.items() if sid not in self._known}
        self._known = {sid: expiry for sid, expiry in self._known.items() if expiry > now} | new
        self._has_looked.set()
        if new:
            self.revocations.add(new)
            for news in self._watching:
                news.put_nowait(new)
