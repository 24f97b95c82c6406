"""Every SQL statement of auth.

The row of a session is the lock of its refresh tokens: who reads one to decide on it locks the session first.
"""

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from psycopg2.errors import UniqueViolation
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from services.auth.domain import (
    Credentials,
    EmailTaken,
    RefreshToken,
    RefreshTokenInvalid,
    Session,
    SessionId,
    SigningKey,
    User,
    UserId,
    UsernameTaken,
    UserNotFound,
    normalise,
)

metadata = sa.MetaData()

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("username", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("users_username_key", sa.text("lower(username)"), unique=True),
    sa.Index("users_email_key", sa.text("lower(email)"), unique=True),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
    sa.Index("sessions_user_id_idx", "user_id"),
)

refresh_tokens = sa.Table(
    "refresh_tokens",
    metadata,
    sa.Column("token_hash", sa.LargeBinary, primary_key=True),
    sa.Column("session_id", sa.Uuid, sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("used_at", sa.DateTime(timezone=True)),
    sa.Index("refresh_tokens_session_id_created_at_idx", "session_id", "created_at"),
)

signing_keys = sa.Table(
    "signing_keys",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("private_key_encrypted", sa.LargeBinary, nullable=False),
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("retired_at", sa.DateTime(timezone=True)),
)

TAKEN = {"users_username_key": UsernameTaken, "users_email_key": EmailTaken}

USER = (users.c.id, users.c.username, users.c.email, users.c.created_at)


def add_user(tx: Connection, user: User, password_hash: str) -> None:
    """Raises UsernameTaken or EmailTaken."""
    _write_user(tx, sa.insert(users).values(**asdict(user), password_hash=password_hash))


def get_user(tx: Connection, user_id: UserId) -> User:
    """Raises UserNotFound."""
    row = tx.execute(sa.select(*USER).where(users.c.id == user_id)).mappings().one_or_none()
    if row is None:
        raise UserNotFound
    return User(**row)


def update_user(tx: Connection, user_id: UserId, *, username: str | None, email: str | None) -> User:
    """Change what is not None. Raises UsernameTaken, EmailTaken or UserNotFound."""
    given = {"username": username, "email": email}
    changes = {field: value for field, value in given.items() if value is not None}
    if changes:
        _write_user(tx, sa.update(users).where(users.c.id == user_id).values(changes))
    return get_user(tx, user_id)


def find_credentials(tx: Connection, name: str) -> Credentials | None:
    """Of the account with this username or e-mail address. No name is both: only addresses have an `@`."""
    if "\0" in name:  # no text in PostgreSQL has one, and psycopg2 refuses to ask
        return None
    is_username = sa.func.lower(users.c.username) == sa.func.lower(normalise(name))
    is_email = sa.func.lower(users.c.email) == sa.func.lower(name)
    row = tx.execute(sa.select(users.c.id, users.c.password_hash).where(is_username | is_email)).one_or_none()
    return Credentials(row.id, row.password_hash) if row else None


def replace_password_hash(tx: Connection, checked: Credentials, password_hash: str) -> None:
    """Unless the hash is no longer the one that was checked: then the password has been changed meanwhile."""
    unchanged = sa.and_(users.c.id == checked.user_id, users.c.password_hash == checked.password_hash)
    tx.execute(sa.update(users).where(unchanged).values(password_hash=password_hash))


def add_session(tx: Connection, session: Session) -> None:
    tx.execute(sa.insert(sessions).values(asdict(session)))


def lock_session_of_token(tx: Connection, token_hash: bytes) -> Session:
    """The session, which nobody else changes or exchanges a token of until the end. Raises RefreshTokenInvalid."""
    its_session = sa.select(refresh_tokens.c.session_id).where(refresh_tokens.c.token_hash == token_hash)
    found = sa.select(sessions).where(sessions.c.id == its_session.scalar_subquery()).with_for_update()
    row = tx.execute(found).mappings().one_or_none()
    if row is None:
        raise RefreshTokenInvalid
    return Session(**row)


def extend_session(tx: Connection, session_id: SessionId, now: datetime, expires_at: datetime) -> None:
    used = sa.update(sessions).where(sessions.c.id == session_id)
    tx.execute(used.values(last_used_at=now, expires_at=expires_at))


def end_session(tx: Connection, session_id: SessionId, now: datetime) -> None:
    """A session that has ended stays as it is."""
    _end_session(tx, sessions.c.id == session_id, now)


def end_session_of_token(tx: Connection, token_hash: bytes, now: datetime) -> None:
    """A session that has ended stays as it is, and an unknown token has none."""
    its_session = sa.select(refresh_tokens.c.session_id).where(refresh_tokens.c.token_hash == token_hash)
    _end_session(tx, sessions.c.id == its_session.scalar_subquery(), now)


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


def lock_signing_keys(tx: Connection) -> None:
    """Until the transaction ends, no other replica decides whether a key is missing."""
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("imagegen signing keys"))))


def find_signing_key(tx: Connection) -> SigningKey | None:
    """The key to sign with: the newest that is not retired."""
    found = sa.select(signing_keys).where(signing_keys.c.retired_at.is_(None)).order_by(signing_keys.c.id.desc())
    row = tx.execute(found.limit(1)).mappings().one_or_none()
    return SigningKey(**row) if row else None


def add_signing_key(tx: Connection, key: SigningKey) -> None:
    tx.execute(sa.insert(signing_keys).values(asdict(key)))


def list_signing_keys(tx: Connection, *, retired_after: datetime) -> list[SigningKey]:
    """Those that are not retired or were after this moment, newest first."""
    listed = sa.or_(signing_keys.c.retired_at.is_(None), signing_keys.c.retired_at > retired_after)
    found = sa.select(signing_keys).where(listed).order_by(signing_keys.c.id.desc())
    return [SigningKey(**row) for row in tx.execute(found).mappings()]


def _write_user(tx: Connection, statement: sa.Insert | sa.Update) -> None:
    """Raises UsernameTaken or EmailTaken, also when another transaction has just taken it."""
    try:
        tx.execute(statement)
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation):
            raise
        raise TAKEN[str(error.orig.diag.constraint_name)] from error


def _end_session(tx: Connection, which: sa.ColumnElement[bool], now: datetime) -> None:
    tx.execute(sa.update(sessions).where(which, sessions.c.ended_at.is_(None)).values(ended_at=now))
