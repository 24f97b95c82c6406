"""API keys. Who adds one holds the account's row, so that none is one too many."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from services.auth.domain import API_KEY_MEMORY, ApiKey, ApiKeyId, ApiKeyNotFound, Role, Scope, UserId
from services.auth.store.revocations import revoke
from services.auth.store.tables import api_keys, users


def add_api_key(tx: Connection, key: ApiKey) -> None:
    tx.execute(sa.insert(api_keys).values(asdict(key) | {"scopes": sorted(key.scopes)}))


def find_api_key_of_request(tx: Connection, user_id: UserId, request_id: str) -> ApiKey | None:
    of_it = sa.and_(api_keys.c.user_id == user_id, api_keys.c.request_id == request_id)
    row = tx.execute(sa.select(api_keys).where(of_it)).mappings().one_or_none()
    return _to_api_key(row) if row else None


def find_api_key_of_secret(tx: Connection, key_hash: bytes) -> tuple[ApiKey, Role] | None:
    """The key, and what its owner is now."""
    found = sa.select(api_keys, users.c.role).join(users).where(api_keys.c.key_hash == key_hash)
    row = tx.execute(found).mappings().one_or_none()
    if row is None:
        return None
    columns = dict(row)
    role = Role(columns.pop("role"))
    return _to_api_key(columns), role


def list_api_keys(tx: Connection, user_id: UserId, now: datetime) -> list[ApiKey]:
    """Those that are good, or were within API_KEY_MEMORY, newest first."""
    of_user = sa.and_(api_keys.c.user_id == user_id, sa.not_(_was_over(now - API_KEY_MEMORY)))
    found = sa.select(api_keys).where(of_user).order_by(api_keys.c.created_at.desc(), api_keys.c.id.desc())
    return [_to_api_key(row) for row in tx.execute(found).mappings()]


def count_good_api_keys(tx: Connection, user_id: UserId, now: datetime) -> int:
    good = sa.and_(api_keys.c.user_id == user_id, sa.not_(_was_over(now)))
    return int(tx.execute(sa.select(sa.func.count()).where(good)).scalar_one())


def mark_used(tx: Connection, key_id: ApiKeyId, now: datetime) -> None:
    tx.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=now))


def revoke_api_key(tx: Connection, user_id: UserId, key_id: ApiKeyId, now: datetime) -> None:
    """One that is revoked already stays as it is. Raises ApiKeyNotFound if it is not one of this user."""
    theirs = sa.and_(api_keys.c.id == key_id, api_keys.c.user_id == user_id)
    if tx.execute(sa.select(api_keys.c.id).where(theirs)).one_or_none() is None:
        raise ApiKeyNotFound
    _revoke(tx, theirs, now)


def revoke_api_keys_of(tx: Connection, user_id: UserId, now: datetime, *, scope: Scope | None = None) -> None:
    """All of this user, or those that are good for `scope`."""
    all_of_them = api_keys.c.user_id == user_id
    _revoke(tx, sa.and_(all_of_them, api_keys.c.scopes.contains([scope])) if scope else all_of_them, now)


def remove_forgotten_api_keys(tx: Connection, now: datetime) -> None:
    tx.execute(sa.delete(api_keys).where(_was_over(now - API_KEY_MEMORY)))


def _was_over(moment: datetime) -> sa.ColumnElement[bool]:
    """Whether a key was good no longer at this moment."""
    least = sa.func.least(api_keys.c.revoked_at, api_keys.c.expires_at)
    return sa.func.coalesce(least <= moment, sa.false())


def _revoke(tx: Connection, which: sa.ColumnElement[bool], now: datetime) -> None:
    """There is no other way to revoke one, so none is without its revocation."""
    good = sa.update(api_keys).where(which, api_keys.c.revoked_at.is_(None))
    revoke(tx, good.values(revoked_at=now).returning(api_keys.c.id), now)


def _to_api_key(row: Any) -> ApiKey:
    return ApiKey(**{**row, "scopes": frozenset(map(Scope, row["scopes"]))})
