"""Share links, and how often their passwords have been wrong lately."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping
from sqlalchemy.dialects.postgresql import insert

from services.results.domain import (
    ATTEMPTS_WINDOW,
    MOST_ATTEMPTS,
    OwnerId,
    ResultId,
    ResultNotFound,
    Share,
    ShareId,
    ShareNotFound,
    TooManyAttempts,
)
from services.results.store.tables import results, share_attempts, shares

FORGOTTEN_AT_ONCE = 100
"""Rows that say nothing any more and are removed by one that comes: more than come, so they do not pile up."""


def lock_result(tx: Connection, owner_id: OwnerId, result_id: ResultId) -> None:
    """Until the transaction ends, nobody else adds a link to it or deletes it. Raises ResultNotFound."""
    found = sa.select(results.c.id).where(results.c.owner_id == owner_id, results.c.id == result_id)
    if tx.execute(found.with_for_update(key_share=True)).one_or_none() is None:
        raise ResultNotFound


def count_open_shares(tx: Connection, result_id: ResultId, now: datetime) -> int:
    is_open = sa.and_(shares.c.revoked_at.is_(None), sa.or_(shares.c.expires_at.is_(None), shares.c.expires_at > now))
    counted = sa.select(sa.func.count()).select_from(shares).where(shares.c.result_id == result_id, is_open)
    return tx.execute(counted).scalar_one()


def add_share(tx: Connection, share: Share) -> Share:
    """The share of its request: this one, or that which came first."""
    added = insert(shares).values(asdict(share))
    if tx.execute(added.on_conflict_do_nothing(index_elements=["owner_id", "request_id"])).rowcount:
        return share
    return _one(tx, _of_request(share.owner_id, share.request_id))


def find_share_of_request(tx: Connection, owner_id: OwnerId, request_id: str) -> Share | None:
    row = tx.execute(_of_request(owner_id, request_id)).mappings().one_or_none()
    return _share(row) if row else None


def find_share_of_token(tx: Connection, token_hash: bytes) -> Share:
    """Raises ShareNotFound."""
    return _one(tx, sa.select(shares).where(shares.c.token_hash == token_hash))


def list_shares(
    tx: Connection, owner_id: OwnerId, result_id: ResultId | None, *, before: UUID | None, limit: int
) -> list[Share]:
    """Of one picture or all, newest first (ids are UUIDv7 and sort by time), beginning after the share `before`."""
    found = sa.select(shares).where(shares.c.owner_id == owner_id)
    if result_id:
        found = found.where(shares.c.result_id == result_id)
    if before:
        found = found.where(shares.c.id < before)
    return [_share(row) for row in tx.execute(found.order_by(shares.c.id.desc()).limit(limit)).mappings()]


def lock_share(tx: Connection, owner_id: OwnerId, share_id: ShareId) -> Share:
    """Until the transaction ends, nobody else changes it. Raises ShareNotFound, also if it is somebody else's."""
    return _one(tx, sa.select(shares).where(*_of(owner_id, share_id)).with_for_update(key_share=True))


def save_share(tx: Connection, share: Share) -> None:
    tx.execute(sa.update(shares).where(*_of(share.owner_id, share.id)).values(asdict(share)))


def revoke_share(tx: Connection, owner_id: OwnerId, share_id: ShareId, now: datetime) -> None:
    """The first time counts. Raises ShareNotFound."""
    revoked = sa.update(shares).where(*_of(owner_id, share_id))
    if not tx.execute(revoked.values(revoked_at=sa.func.coalesce(shares.c.revoked_at, now))).rowcount:
        raise ShareNotFound


def delete_shares(tx: Connection, owner_id: OwnerId, limit: int) -> int:
    """So many of the owner's, or all that are left; how many those were."""
    some = sa.select(shares.c.id).where(shares.c.owner_id == owner_id).limit(limit)
    return tx.execute(sa.delete(shares).where(shares.c.id.in_(some))).rowcount


def count_attempt(tx: Connection, key: bytes, now: datetime) -> None:
    """One more under this key. Raises TooManyAttempts, and does not count it, if it is one too many."""
    forgotten = sa.select(share_attempts.c.key).where(share_attempts.c.until <= now).limit(FORGOTTEN_AT_ONCE)
    unlocked = forgotten.with_for_update(skip_locked=True)
    tx.execute(sa.delete(share_attempts).where(share_attempts.c.key.in_(unlocked)))
    first = insert(share_attempts).values(key=key, count=1, until=now + ATTEMPTS_WINDOW)
    is_over = share_attempts.c.until <= now
    counted = first.on_conflict_do_update(
        index_elements=[share_attempts.c.key],
        set_={
            "count": sa.case((is_over, 1), else_=share_attempts.c.count + 1),
            "until": sa.case((is_over, now + ATTEMPTS_WINDOW), else_=share_attempts.c.until),
        },
    )
    count, until = tx.execute(counted.returning(share_attempts.c.count, share_attempts.c.until)).one()
    if count > MOST_ATTEMPTS:
        raise TooManyAttempts((until - now).total_seconds())


def give_attempt_back(tx: Connection, key: bytes) -> None:
    """It does not count after all."""
    ours = sa.update(share_attempts).where(share_attempts.c.key == key, share_attempts.c.count > 0)
    tx.execute(ours.values(count=share_attempts.c.count - 1))


def _of(owner_id: OwnerId, share_id: ShareId) -> Sequence[sa.ColumnElement[bool]]:
    return shares.c.owner_id == owner_id, shares.c.id == share_id


def _of_request(owner_id: OwnerId, request_id: str | None) -> sa.Select[Any]:
    return sa.select(shares).where(shares.c.owner_id == owner_id, shares.c.request_id == request_id)


def _one(tx: Connection, found: sa.Select[Any]) -> Share:
    row = tx.execute(found).mappings().one_or_none()
    if row is None:
        raise ShareNotFound
    return _share(row)


_FIELDS = [field.name for field in fields(Share)]


def _share(row: RowMapping) -> Share:
    return Share(**{name: row[name] for name in _FIELDS})
