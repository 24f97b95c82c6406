"""Share links: what opens one picture to people without an account.

A link's token is shown once and kept as a hash, its password as another. Who knows the password gets a ticket for it,
which a browser keeps as a cookie.

Whether a link opens is asked of the database each time and remembered nowhere: a link that has been revoked, or whose
password has been changed, is dead on every replica as soon as that is committed.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, Unpack
from uuid import UUID

from sqlalchemy import Connection

from services.results import store
from services.results.delivery import Delivery, Sent, Wanted
from services.results.domain import (
    MOST_SHARES,
    DownloadNotAllowed,
    OwnerId,
    RequestIdReused,
    Result,
    ResultId,
    ResultNotFound,
    Share,
    ShareEnded,
    ShareId,
    ShareLocked,
    SharePasswordWrong,
    TooManyShares,
)
from services.results.links import ShareTickets
from services.results.passwords import Passwords
from services.results.variants import Format
from services.runtime.addresses import network_of
from services.runtime.database import Database
from services.runtime.ids import uuid7

TOKEN_BYTES = 32
MOST_SHOWN = 1280
"""Pixels across: fills a phone and most of a screen, and is no print."""
DEFAULT_PAGE_SIZE = 20


class Terms(TypedDict):
    """How a link opens its picture. None: it does not expire, it has no password."""

    lifetime: timedelta | None
    password: str | None
    hide_prompt: bool
    allow_download: bool


class Changes(TypedDict, total=False):
    """New terms, with their lifetime from now on; what is left out stays as it is."""

    lifetime: timedelta | None
    password: str | None
    hide_prompt: bool
    allow_download: bool


class Shares:
    """Blocks, except where a method is a coroutine. Every method may raise DependencyUnavailable."""

    def __init__(self, database: Database, delivery: Delivery, tickets: ShareTickets, passwords: Passwords) -> None:
        self._database = database
        self._delivery = delivery
        self._tickets = tickets
        self._passwords = passwords

    def create(
        self, owner_id: OwnerId, result_id: ResultId, request_id: str, **terms: Unpack[Terms]
    ) -> tuple[Share, str]:
        """The share and its token; of a request that is repeated the share that it made, and no token.

        Raises ResultNotFound, RequestIdReused or TooManyShares.
        """
        with self._database.transaction() as tx:
            share = store.find_share_of_request(tx, owner_id, request_id) if request_id else None
        if share is None:
            token = secrets.token_urlsafe(TOKEN_BYTES)
            new = self._new_share(owner_id, result_id, request_id, token, terms)
            with self._database.transaction() as tx:
                store.share_owner(tx, owner_id)
                if store.is_erased(tx, owner_id):
                    raise ResultNotFound
                store.lock_result(tx, owner_id, result_id)
                share = store.add_share(tx, new)
                if share == new:
                    if store.count_open_shares(tx, result_id, new.created_at) > MOST_SHARES:
                        raise TooManyShares
                    return share, token
        self._require_repeat(share, result_id, terms)
        return share, ""

    def list_of(
        self, owner_id: OwnerId, result_id: ResultId | None, *, before: UUID | None, limit: int
    ) -> tuple[list[Share], bool]:
        """Of one picture or all: a page after the share `before`, newest first, and whether there are more; limit 0
        is the default.

        Raises ResultNotFound.
        """
        limit = limit or DEFAULT_PAGE_SIZE
        with self._database.transaction() as tx:
            if result_id:
                store.get_result(tx, owner_id, result_id)
            found = store.list_shares(tx, owner_id, result_id, before=before, limit=limit + 1)
        return found[:limit], len(found) > limit

    def update(self, owner_id: OwnerId, share_id: ShareId, **changes: Unpack[Changes]) -> Share:
        """Raises ShareNotFound, ShareEnded or TooManyShares."""
        now = datetime.now(UTC)
        changed: dict[str, Any] = {name: changes[name] for name in ("hide_prompt", "allow_download") if name in changes}
        if "lifetime" in changes:
            changed["expires_at"] = _end(now, changes["lifetime"])
        if "password" in changes:
            changed["password_hash"] = self._hashed(changes["password"])
        with self._database.transaction() as tx:
            share = store.lock_share(tx, owner_id, share_id)
            if share.revoked_at is not None or share.result_id is None:
                raise ShareEnded
            later = replace(share, **changed)
            reopens = later.is_open(now) and not share.is_open(now)
            if reopens and store.count_open_shares(tx, share.result_id, now) >= MOST_SHARES:
                raise TooManyShares
            store.save_share(tx, later)
        return later

    def revoke(self, owner_id: OwnerId, share_id: ShareId) -> None:
        """Raises ShareNotFound."""
        with self._database.transaction() as tx:
            store.revoke_share(tx, owner_id, share_id, datetime.now(UTC))

    def open(self, token: str, ticket: str) -> tuple[Share, Result]:
        """For whoever has the link: the picture, without the prompt and the model that its owner hides.

        Raises ShareNotFound, ShareEnded or ShareLocked.
        """
        now = datetime.now(UTC)
        with self._database.transaction() as tx:
            share, result = _opened(tx, token, now)
        if share.password_hash is not None and not self._tickets.is_good(share, ticket, now):
            raise ShareLocked
        if share.hide_prompt:
            result = replace(result, recipe=replace(result.recipe, prompt="", model=""))
        return share, result

    def unlock(self, token: str, password: str, address: str) -> tuple[str, datetime]:
        """A ticket, and until when it is good. An attempt counts before the password is hashed, and does not if it was
        right, so guesses that come at once find no gap between them.

        Raises ShareNotFound, ShareEnded, SharePasswordWrong or TooManyAttempts.
        """
        now = datetime.now(UTC)
        with self._database.transaction() as tx:
            share, _ = _opened(tx, token, now)
            attempt = _attempt_key(share.id, address)
            if share.password_hash is not None:
                store.count_attempt(tx, attempt, now)
        if share.password_hash is not None:
            if not self._passwords.verify(share.password_hash, password):
                raise SharePasswordWrong
            with self._database.transaction() as tx:
                store.give_attempt_back(tx, attempt)
        return self._tickets.issue(share, now)

    async def download(
        self, token: str, ticket: str, wanted: Wanted, *, original: bool
    ) -> tuple[Sent, AsyncIterator[bytes]]:
        """What is sent, and its bytes in order; `original` goes before what else is wanted.

        Raises ShareNotFound, ShareEnded, ShareLocked, DownloadNotAllowed or PictureLost.
        """
        share, result = await asyncio.to_thread(self.open, token, ticket)
        if original and not share.allow_download:
            raise DownloadNotAllowed
        try:
            return await self._delivery.open(result, Wanted() if original else _allowed(share, wanted))
        except ResultNotFound as error:
            raise ShareEnded from error

    def _new_share(self, owner_id: OwnerId, result_id: ResultId, request_id: str, token: str, terms: Terms) -> Share:
        now = datetime.now(UTC)
        return Share(
            id=ShareId(uuid7()),
            owner_id=owner_id,
            result_id=result_id,
            token_hash=_hash(token),
            password_hash=self._hashed(terms["password"]),
            hide_prompt=terms["hide_prompt"],
            allow_download=terms["allow_download"],
            request_id=request_id or None,
            request_hash=_request_hash(result_id, terms),
            created_at=now,
            expires_at=_end(now, terms["lifetime"]),
        )

    def _require_repeat(self, share: Share, result_id: ResultId, terms: Terms) -> None:
        """Raises RequestIdReused, also if the password has been changed since, or ResultNotFound."""
        password = terms["password"]
        if share.request_hash != _request_hash(result_id, terms):
            raise RequestIdReused
        if password is not None:
            known = share.password_hash
            if known is None or not self._passwords.verify(known, password):
                raise RequestIdReused
        if share.result_id is None:
            raise ResultNotFound

    def _hashed(self, password: str | None) -> str | None:
        return None if password is None else self._passwords.hash(password)


def _opened(tx: Connection, token: str, now: datetime) -> tuple[Share, Result]:
    """A link that opens its picture now, to who has the password. Raises ShareNotFound or ShareEnded."""
    share = store.find_share_of_token(tx, _hash(token))
    if share.result_id is None or not share.is_open(now):
        raise ShareEnded
    try:
        return share, store.get_linked_result(tx, share.result_id)
    except ResultNotFound as error:  # deleted between the two statements
        raise ShareEnded from error


def _allowed(share: Share, wanted: Wanted) -> Wanted:
    """The same, unless it would be the original of a picture whose owner keeps that."""
    if share.allow_download:
        return wanted
    lossy = [format_ for format_ in wanted.formats if format_ is not Format.PNG]
    return replace(wanted, width=min(wanted.width or MOST_SHOWN, MOST_SHOWN), formats=lossy or [Format.JPEG])


def _end(now: datetime, lifetime: timedelta | None) -> datetime | None:
    return None if lifetime is None else now + lifetime


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _request_hash(result_id: ResultId, terms: Terms) -> bytes:
    plain = (result_id, terms["lifetime"], terms["password"] is None, terms["hide_prompt"], terms["allow_download"])
    return hashlib.sha256("\0".join(map(str, plain)).encode()).digest()


def _attempt_key(share_id: ShareId, address: str) -> bytes:
    """Tells neither the link nor the address to who reads the table."""
    return hashlib.sha256(f"{share_id}\0{network_of(address)}".encode()).digest()
