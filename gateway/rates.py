"""How many requests a minute anybody may make, counted in Redis for all replicas together.

Who sends a good token is counted as the user, whatever the address; who sends none, by the network of the address. What
a page loads and what image links open is not counted: a picture of a hundred would use up what its owner may ask. What
share links open is: who tries tokens is stopped.

The window is fixed and begins with a caller's first request. A moving one would be fairer by at most one quota around
the window's edge, but costs Redis a list of every request, and no number could tell a client when it may ask again:
here RateLimit's `r` and `t` are a promise (draft-ietf-httpapi-ratelimit-headers).

While Redis is away or slow nobody is counted: the service is worth more than its limits.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.origins import client_address
from gateway.problems import problem
from services.runtime.addresses import network_of
from services.runtime.errors import DependencyUnavailable, TokenExpired, TokenInvalid, TokenRevoked
from services.runtime.tokens import Person, TokenVerifier

log = structlog.get_logger()

WINDOW_SECONDS = 60

REDIS_SECONDS = 0.1
"""What counting may add to a request; Redis answers in less than a millisecond."""

VERIFY_SECONDS = 2.0
"""What learning a new key of auth's may add to a request, once."""

RETRY_SECONDS = 1.0
"""Between two requests that try whether Redis is back."""

TURNS = 8
"""How many are counted at once. The others wait their turn, and the time they wait is not held against Redis: a burst
must not look like an outage and pass uncounted.
"""

COUNTED = ("/api/", "/v1/", "/s/")

PICTURE = re.compile(r"/api/v1/results/[^/]+/image")


@dataclass(frozen=True)
class Standing:
    """What a caller may still ask for, this request taken off."""

    policy: str
    quota: int
    remaining: int
    """Below zero: it was too much."""
    seconds: int
    """Until the whole quota is there again."""

    @property
    def headers(self) -> Mapping[str, str]:
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.quota};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.policy}";r={max(0, self.remaining)};t={self.seconds}',
        }


class RateLimits:
    """Belongs to one event loop. A quota of 0 lets everything pass."""

    def __init__(self, redis_url: str, verifier: TokenVerifier, *, per_user: int, per_address: int) -> None:
        self._verifier = verifier
        self._quotas = {"user": per_user, "address": per_address}
        self._pool = ConnectionPool.from_url(redis_url, retry=Retry(NoBackoff(), 0))
        self._storage = RedisStorage(
            f"async+{redis_url}",
            implementation="redispy",
            key_prefix="imagegen:rate",
            connection_pool=self._pool,  # type: ignore[arg-type] # as its docstring says
        )
        self._turns = asyncio.Semaphore(TURNS)
        self._away_until = 0.0
        self._is_away = False

    async def take(self, request: Request) -> Standing | None:
        """One request less for its caller; None if nobody counts it."""
        user_id = await self._user_id(request.headers.get("authorization", ""))
        policy, caller = ("user", user_id) if user_id else ("address", network_of(client_address(request)))
        quota = self._quotas[policy]
        if not quota:
            return None
        async with self._turns:
            return await self._count(policy, caller, quota)

    async def _count(self, policy: str, caller: str, quota: int) -> Standing | None:
        if time.monotonic() < self._away_until:
            return None
        key = RateLimitItemPerMinute(quota).key_for(policy, caller)
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                taken = await self._storage.incr(key, WINDOW_SECONDS)
                left = await self._storage.get_expiry(key) - time.time()
        except (RedisError, OSError) as error:
            self._away_until = time.monotonic() + RETRY_SECONDS
            if not self._is_away:
                log.warning("requests are not counted: Redis is away", kind=type(error).__name__)
            self._is_away = True
            return None
        if self._is_away:
            log.info("requests are counted again")
        self._is_away = False
        # Redis rounds what is left to whole seconds: a second more, and who waits for it never comes too early.
        return Standing(policy, quota, quota - taken, min(WINDOW_SECONDS, round(left) + 1))

    async def close(self) -> None:
        await self._pool.disconnect()

    async def _user_id(self, authorization: str) -> str:
        """Whose token it is; empty if it is none that counts. What it is good for, the services say."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return ""
        try:
            async with asyncio.timeout(VERIFY_SECONDS):
                caller = await self._verifier.verify(token.strip())
        except (TokenInvalid, TokenExpired, TokenRevoked, DependencyUnavailable, TimeoutError):
            return ""
        return str(caller.user_id) if isinstance(caller, Person) else ""


class RateMiddleware:
    """Refuses what is too much before its body is read, and tells everybody else how much is left."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_counted(scope):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        limits: RateLimits = request.app.state.limits
        standing = await limits.take(request)
        if standing is None:
            await self._app(scope, receive, send)
            return
        headers = standing.headers
        if standing.remaining < 0:
            headers = {**headers, "Retry-After": str(standing.seconds)}
            await problem(request, "rate_limited", headers=headers)(scope, receive, send)
            return
        sent = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *sent]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _is_counted(scope: Scope) -> bool:
    opened_by_link = PICTURE.fullmatch(scope["path"]) and b"signature=" in scope["query_string"]
    return scope["path"].startswith(COUNTED) and not opened_by_link
