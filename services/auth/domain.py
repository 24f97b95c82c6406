"""Accounts, sessions and the exchange of refresh tokens.

A session is opened by a login and lives in a family of refresh tokens, of which each is exchanged once:

    login ──► token ──exchange──► token ──exchange──► token ──► …
                │
                └── comes back: within the grace it is exchanged again, later it ends the session

A token that comes back late is in two hands, and which of the two is the thief's cannot be told (RFC 9700 §4.14.2).
"""

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
SessionId = NewType("SessionId", UUID)

ACCESS_LIFETIME = timedelta(minutes=10)
"""An access token is believed without asking auth, so this is how long one outlives its session."""

REFRESH_LIFETIME = timedelta(days=30)
"""Who comes back within a month stays signed in."""

REUSE_GRACE = timedelta(seconds=10)
"""Longer than a phone's client waits before it repeats a call whose answer was lost on the way."""

SIGNING_KEY_LINGER = ACCESS_LIFETIME + timedelta(minutes=1)
"""How long a retired key is still listed; the minute is for a login that was in flight when the key was retired."""

USERNAME_LENGTHS = range(3, 33)


@dataclass(frozen=True)
class User:
    id: UserId
    username: str
    email: str
    created_at: datetime


@dataclass(frozen=True)
class Credentials:
    """What a login is checked against."""

    user_id: UserId
    password_hash: str = field(repr=False)


@dataclass(frozen=True)
class Session:
    """One sign-in of one user. `expires_at` is the expiry of its youngest refresh token."""

    id: SessionId
    user_id: UserId
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True)
class RefreshToken:
    """What is kept of a refresh token. `used_at` is its first exchange."""

    token_hash: bytes = field(repr=False)
    """SHA-256. Of 256 random bits it needs neither salt nor stretching."""
    session_id: SessionId
    created_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 key pair. Its id is the `kid` of the tokens that it signs."""

    id: UUID
    private_key_encrypted: bytes = field(repr=False)
    public_key: bytes
    """32 raw bytes (RFC 8032 §5.1.5)."""
    created_at: datetime
    retired_at: datetime | None = None


@dataclass(frozen=True)
class Tokens:
    """What a signed-in client keeps."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


class UsernameTaken(Exception):
    def __init__(self) -> None:
        super().__init__("this username is taken")
        self.violations = [("username", "is taken")]


class EmailTaken(Exception):
    def __init__(self) -> None:
        super().__init__("this e-mail address is taken")
        self.violations = [("email", "is taken")]


class BadCredentials(Exception):
    def __init__(self) -> None:
        super().__init__("no such account, or the wrong password")


class RefreshTokenInvalid(Exception):
    def __init__(self) -> None:
        super().__init__("the refresh token is unknown or has expired, or its session has ended")


class RefreshTokenReused(Exception):
    def __init__(self) -> None:
        super().__init__("the refresh token has been exchanged before; its session has been ended")


class UserNotFound(Exception):
    def __init__(self) -> None:
        super().__init__("this account no longer exists")


class Exchange(StrEnum):
    """What a refresh token that is shown means."""

    FIRST = "first"
    REPEAT = "repeat"
    REUSE = "reuse"


def judge_exchange(session: Session, token: RefreshToken, now: datetime) -> Exchange:
    """Raises RefreshTokenInvalid if the session has ended or the token has expired."""
    if session.ended_at or now >= token.created_at + REFRESH_LIFETIME:
        raise RefreshTokenInvalid
    if token.used_at is None:
        return Exchange.FIRST
    return Exchange.REPEAT if now - token.used_at <= REUSE_GRACE else Exchange.REUSE


def normalise(name: str) -> str:
    """The one spelling of a username (NFKC, Unicode Standard Annex 15): look-alikes by width or ligature are one."""
    return unicodedata.normalize("NFKC", name)


def parse_username(text: str) -> str:
    """The username as it is kept.

    Raises ValueError if it breaks the contract's rule once it is normalised: `ﬀ` is a letter and becomes two, `½` is
    a number and becomes `1⁄2`, whose stroke is none.
    """
    username = normalise(text)
    if len(username) not in USERNAME_LENGTHS or not all(map(_may_be_in_a_username, username)):
        raise ValueError("must be 3 to 32 letters or digits, '.', '_' or '-'")
    return username


def _may_be_in_a_username(character: str) -> bool:
    return character in "._-" or unicodedata.category(character)[0] in "LN"
