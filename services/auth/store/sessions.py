"""Sessions and their refresh tokens.

The row of a session is the lock of its refresh tokens: who reads one to decide on it locks the session first.
"""

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection

from services.auth.domain import (
    RefreshToken,
    RefreshTokenInvalid,
    Session,
    SessionId,
    SessionNotFound,
    UserId,
)
from services.auth.store.revocations import revoke
from services.auth.store.tables import refresh_tokens, sessions


def add_session(tx: Connection, session: Session) -> None:
    tx.execute(sa.insert(sessions).values(asdict(session)))


def list_sessions(tx: Connection, user_id: UserId, now: datetime) -> list[Session]:
    """Those of this user that have neither ended nor expired, newest first."""
    going_on = sa.and_(sessions.c.user_id == user_id, sessions.c.ended_at.is_(None), sessions.c.expires_at > now)
    found = sa.select(sessions).where(going_on).order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
    return [Session(**row) for row in tx.execute(found).mappings()]


def lock_session_of_token(tx: Connection, token_hash: bytes) -> Session:
    """The session, which nobody else changes or exchanges a token of until the end. Raises RefreshTokenInvalid."""
    found = sa.select(sessions).where(sessions.c.id == _session_of(token_hash)).with_for_update()
    row = tx.execute(found).mappings().one_or_none()
    if row is None:
        raise RefreshTokenInvalid
    return Session(**row)


def extend_session(tx: Connection, session_id: SessionId, now: datetime, expires_at: datetime) -> None:
    used = sa.update(sessions).where(sessions.c.id == session_id)
    tx.execute(used.values(last_used_at=now, expires_at=expires_at))


def end_session(tx: Connection, session_id: SessionId, now: datetime) -> None:
    """A session that has ended stays as it is, here and below."""
    _end(tx, sessions.c.id == session_id, now)


def end_session_of(tx: Connection, user_id: UserId, session_id: SessionId, now: datetime) -> None:
    """Raises SessionNotFound if it is not one of this user."""
    theirs = sa.and_(sessions.c.id == session_id, sessions.c.user_id == user_id)
    if tx.execute(sa.select(sessions.c.id).where(theirs)).one_or_none() is None:
        raise SessionNotFound
    _end(tx, theirs, now)


def end_session_of_token(tx: Connection, token_hash: bytes, now: datetime) -> None:
    """An unknown token has none."""
    _end(tx, sessions.c.id == _session_of(token_hash), now)


def end_sessions_of(tx: Connection, user_id: UserId, now: datetime, *, but: UUID | None = None) -> None:
    """All of this user, but one."""
    all_of_them = sessions.c.user_id == user_id
    _end(tx, all_of_them if but is None else sa.and_(all_of_them, sessions.c.id != but), now)


def remove_expired_sessions(tx: Connection, user_id: UserId, now: datetime) -> None:
    """With their refresh tokens."""
    tx.execute(sa.delete(sessions).where(sessions.c.user_id == user_id, sessions.c.expires_at <= now))


def get_refresh_token(tx: Connection, token_hash: bytes) -> RefreshToken:
    """Raises RefreshTokenInvalid."""
    found = sa.select(refresh_tokens).where(refresh_tokens.c.token_hash == token_hash)
    row = tx.execute(found).mappings().one_or_none()
    if row is None:
        raise RefreshTokenInvalid
    return RefreshToken(**row)


def add_refresh_token(tx: Connection, token: RefreshToken) -> None:
    tx.execute(sa.insert(refresh_tokens).values(asdict(token)))


def use_refresh_token(tx: Connection, token_hash: bytes, now: datetime) -> None:
    tx.execute(sa.update(refresh_tokens).where(refresh_tokens.c.token_hash == token_hash).values(used_at=now))


def remove_old_refresh_tokens(tx: Connection, session_id: SessionId, *, created_before: datetime) -> None:
    old = sa.and_(refresh_tokens.c.session_id == session_id, refresh_tokens.c.created_at < created_before)
    tx.execute(sa.delete(refresh_tokens).where(old))


def _session_of(token_hash: bytes) -> sa.ScalarSelect[UUID]:
    its_session = sa.select(refresh_tokens.c.session_id).where(refresh_tokens.c.token_hash == token_hash)
    return its_session.scalar_subquery()


def _end(tx: Connection, which: sa.ColumnElement[bool], now: datetime) -> None:
    """There is no other way to end one, so none is without its revocation."""
    going_on = sa.update(sessions).where(which, sessions.c.ended_at.is_(None))
    revoke(tx, going_on.values(ended_at=now).returning(sessions.c.id), now)
