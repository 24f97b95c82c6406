"""Calls that carry the person's token, and its renewal: one at a time, however many calls meet an expired token."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import unquote

import httpx
import httpx_sse

from api.decoding import decode
from api.problems import Problem, UnknownAnswer, Unreachable
from api.resources import Tokens

CALL_SECONDS = 20.0
"""Argon2 on a busy server takes up to 10 s."""

CONNECT_SECONDS = 5.0

SILENCE_SECONDS = 40.0
"""On a stream the server says something every 15 s: longer means that the connection is dead."""

UNAUTHENTICATED = 401


@dataclass(frozen=True)
class File:
    """Attributes:
    name: what the server calls it; empty if it does not say.
    """

    name: str
    content: bytes


class TokenStore(Protocol):
    """Where the tokens survive a reload. Several tabs may share one.

    Raises:
        Unreachable: the page that holds it is away.
    """

    async def load(self) -> Tokens | None: ...

    async def save(self, tokens: Tokens | None) -> None: ...


class Connection:
    """One person's calls over a shared httpx client.

    `headers` go with every call: on the web they tell the gateway who is behind the process that calls.
    `when_signed_out` may be set; it is called when the session has ended against the person's will.
    """

    def __init__(self, http: httpx.AsyncClient, store: TokenStore, headers: Mapping[str, str] | None = None) -> None:
        self._http = http
        self._store = store
        self._headers = dict(headers or {})
        self._tokens: Tokens | None = None
        self._are_kept = True
        self._renewal: asyncio.Task[None] | None = None
        self._ahead = timedelta()
        self.when_signed_out: Callable[[], None] = lambda: None

    @property
    def tokens(self) -> Tokens | None:
        return self._tokens

    async def restore(self) -> None:
        """Takes the tokens of an earlier visit, if there are any."""
        self._tokens = await self._store.load()

    async def keep(self, tokens: Tokens | None) -> None:
        """If the page is away, they count all the same, and `keep_up` keeps them when it is back."""
        self._tokens, self._are_kept = tokens, False
        await self._store.save(tokens)
        self._are_kept = True

    async def keep_up(self) -> None:
        if not self._are_kept:
            await self.keep(self._tokens)

    def now(self) -> datetime:
        """The server's time: a phone's clock may be minutes wrong."""
        return datetime.now(UTC) + self._ahead

    async def anonymous(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """As `call`, without a token."""
        return _json(await self._send(method, path, body=body))

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Returns the answer's JSON; None if it has none.

        Raises:
            Problem: the gateway refused.
            Unreachable: no answer came.
            UnknownAnswer: what came is not JSON.
        """
        return _json(await self._authorized(method, path, body=body, query=query, headers=headers))

    async def file(
        self,
        path: str,
        query: Mapping[str, str | int | list[str]] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> File:
        """As `call`, for what is to be kept as a file; a body is posted."""
        response = await self._authorized("GET" if body is None else "POST", path, query=query, body=body)
        return File(_file_name(response), response.content)

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[httpx_sse.EventSource | None]:
        """Opens an event stream; None if there is nothing more to come (204).

        Raises:
            Problem: the gateway refused.
            Unreachable: no answer came, or the connection broke while the stream was read.
        """
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        try:
            async with AsyncExitStack() as opened:
                used = self._tokens
                source = await opened.enter_async_context(self._connect(path, self._sent(headers, used), timeout))
                if source.response.status_code == UNAUTHENTICATED and used is not None:
                    await self.renew(used)
                    sent = self._sent(headers, self._tokens)
                    source = await opened.enter_async_context(self._connect(path, sent, timeout))
                self._tell_time(source.response)
                if source.response.is_error:
                    await source.response.aread()
                    raise Problem.of(source.response)
                yield None if source.response.status_code == httpx.codes.NO_CONTENT else source
        except (httpx.HTTPError, httpx_sse.SSEError) as error:
            raise Unreachable(type(error).__name__) from error

    def _connect(
        self, path: str, headers: Mapping[str, str], timeout: httpx.Timeout
    ) -> AbstractAsyncContextManager[httpx_sse.EventSource]:
        return httpx_sse.aconnect_sse(self._http, "GET", path, headers=headers, timeout=timeout)

    async def renew(self, used: Tokens) -> None:
        """Exchanges the refresh token, unless somebody has done it since `used` was read: a token is good for one
        exchange, and a second one ends the session. While the page is away nothing is exchanged, for nobody would keep
        what came of it.

        Raises:
            Problem: the session has ended; the tokens are gone.
            Unreachable: as for `call`.
        """
        if self._tokens != used:
            return
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew(used))
            self._renewal.add_done_callback(self._forget_renewal)
        await asyncio.shield(self._renewal)

    def _forget_renewal(self, _: object) -> None:
        self._renewal = None

    async def _renew(self, used: Tokens) -> None:
        await self.keep_up()
        stored = await self._store.load()
        if stored is not None and stored.owner != used.owner:  # somebody else has signed in, in another tab
            self._tokens = None
            self.when_signed_out()
            raise Problem(UNAUTHENTICATED, "token_revoked", "Somebody else has signed in here.")
        if stored is not None and stored != used:  # another tab was first
            self._tokens = stored
            return
        try:
            answer = await self.anonymous("POST", "/api/v1/auth/refresh", {"refresh_token": used.refresh_token})
        except Problem as problem:
            if problem.status == UNAUTHENTICATED:
                with suppress(Unreachable):
                    await self.keep(None)
                self.when_signed_out()
            raise
        with suppress(Unreachable):
            await self.keep(decode(Tokens, answer))

    async def _authorized(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        used = self._tokens
        try:
            return await self._send(method, path, body=body, query=query, headers=headers, tokens=used)
        except Problem as problem:
            if problem.status != UNAUTHENTICATED or used is None:
                raise
        await self.renew(used)
        return await self._send(method, path, body=body, query=query, headers=headers, tokens=self._tokens)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | int | list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        tokens: Tokens | None = None,
    ) -> httpx.Response:
        sent = self._sent(headers, tokens)
        timeout = httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS)
        try:
            response = await self._http.request(method, path, json=body, params=query, headers=sent, timeout=timeout)
        except httpx.HTTPError as error:
            raise Unreachable(type(error).__name__) from error
        self._tell_time(response)
        if response.is_error:
            raise Problem.of(response)
        return response

    def _sent(self, headers: Mapping[str, str] | None, tokens: Tokens | None) -> dict[str, str]:
        token = {"Authorization": f"Bearer {tokens.access_token}"} if tokens else {}
        return {**self._headers, **(headers or {}), **token}

    def _tell_time(self, response: httpx.Response) -> None:
        with suppress(KeyError, ValueError, TypeError):  # no date, none that can be read, one without its zone
            self._ahead = parsedate_to_datetime(response.headers["date"]) - datetime.now(UTC)


def _file_name(response: httpx.Response) -> str:
    """Of Content-Disposition (RFC 6266 §4.3): `filename*` is the whole name, `filename` what is left of it in ASCII."""
    disposition = response.headers.get("content-disposition", "")
    if whole := re.search(r"filename\*=UTF-8''([^;]+)", disposition, re.IGNORECASE):
        return unquote(whole[1])
    plain = re.search(r'filename="([^"]*)"', disposition, re.IGNORECASE)
    return plain[1] if plain else ""


def _json(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise UnknownAnswer(str(error)) from error
