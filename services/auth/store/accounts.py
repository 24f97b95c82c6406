"""Accounts. Who decides on one by its password, role or keys locks its row first."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from psycopg2.errors import UniqueViolation
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from services.auth.domain import (
    Credentials,
    EmailTaken,
    Registration,
    Role,
    User,
    UserId,
    UsernameTaken,
    UserNotFound,
    normalise,
)
from services.auth.store.tables import users

TAKEN = {"users_username_key": UsernameTaken, "users_email_key": EmailTaken}

USER = (users.c.id, users.c.username, users.c.email, users.c.created_at, users.c.role)


def add_user(tx: Connection, user: User, password_hash: str, request_id: str | None, request_hash: bytes) -> None:
    """Raises UsernameTaken or EmailTaken."""
    _write_user(
        tx,
        sa.insert(users).values(
            id=user.id,
            username=user.username,
            email=user.email,
            created_at=user.created_at,
            role=user.role,
            password_hash=password_hash,
            request_id=request_id,
            request_hash=request_hash if request_id else None,
        ),
    )


def lock_request(tx: Connection, request_id: str) -> None:
    """Until the transaction ends, nobody else registers by this request_id."""
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(request_id, 0))))


def find_registration(tx: Connection, request_id: str) -> Registration | None:
    row = tx.execute(_credentials(users.c.request_hash).where(users.c.request_id == request_id)).one_or_none()
    return Registration(_to_credentials(row), row.request_hash) if row else None


def forget_registrations(tx: Connection, *, made_before: datetime) -> None:
    """By which requests these accounts were made."""
    old = sa.and_(users.c.request_id.is_not(None), users.c.created_at <= made_before)
    tx.execute(sa.update(users).where(old).values(request_id=None, request_hash=None))


def get_user(tx: Connection, user_id: UserId) -> User:
    """Raises UserNotFound."""
    row = tx.execute(sa.select(*USER).where(users.c.id == user_id)).one_or_none()
    if row is None:
        raise UserNotFound
    return _to_user(row)


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
    row = tx.execute(_credentials().where(is_username | is_email)).one_or_none()
    return _to_credentials(row) if row else None


def get_credentials(tx: Connection, user_id: UserId) -> Credentials:
    """Raises UserNotFound."""
    row = tx.execute(_credentials().where(users.c.id == user_id)).one_or_none()
    if row is None:
        raise UserNotFound
    return _to_credentials(row)


def lock_credentials(tx: Connection, user_id: UserId) -> Credentials:
    """Nobody else changes the account's password, role, sessions or keys until the end. Raises UserNotFound."""
    found = _credentials().where(users.c.id == user_id).with_for_update(key_share=True)
    row = tx.execute(found).one_or_none()
    if row is None:
        raise UserNotFound
    return _to_credentials(row)


def replace_password_hash(tx: Connection, user_id: UserId, password_hash: str) -> None:
    tx.execute(sa.update(users).where(users.c.id == user_id).values(password_hash=password_hash))


def list_operators(tx: Connection) -> list[User]:
    """By name."""
    found = sa.select(*USER).where(users.c.role == Role.OPERATOR).order_by(users.c.username)
    return [_to_user(row) for row in tx.execute(found)]


def set_role(tx: Connection, user_id: UserId, role: Role) -> None:
    tx.execute(sa.update(users).where(users.c.id == user_id).values(role=role))


def remove_user(tx: Connection, user_id: UserId) -> None:
    """With sessions, refresh tokens and API keys."""
    tx.execute(sa.delete(users).where(users.c.id == user_id))


def _credentials(*more: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return sa.select(*USER, users.c.password_hash, *more)


def _to_credentials(row: Any) -> Credentials:
    return Credentials(_to_user(row), row.password_hash)


def _to_user(row: Any) -> User:
    return User(row.id, row.username, row.email, row.created_at, Role(row.role))


def _write_user(tx: Connection, statement: sa.Insert | sa.Update) -> None:
    """Raises UsernameTaken or EmailTaken, also when another transaction has just taken it."""
    try:
        tx.execute(statement)
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation):
            raise
        raise TAKEN[str(error.orig.diag.constraint_name)] from error
