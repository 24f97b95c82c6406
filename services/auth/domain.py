"""Accounts, sessions and the exchange of refresh tokens.

A session is opened by a login and lives in a family of refresh tokens, of which each is exchanged once:

    login ──► token ──exchange──► token ──exchange──► token ──► …
                │
                └── comes back: within the grace it is exchanged again, later it ends the session

A token that comes back late is in two hands, and which of the two is the thief's cannot be told (RFC 9700 §4.14.2).
"""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
SessionId = NewType("SessionId", UUID)
ApiKeyId = NewType("ApiKeyId", UUID)

ACCESS_LIFETIME = timedelta(minutes=10)
"""An access token is believed without asking auth, so this is how long one outlives its session."""

REFRESH_LIFETIME = timedelta(days=30)
"""Who comes back within a month stays signed in."""

REUSE_GRACE = timedelta(seconds=10)
"""Longer than a phone's client waits before it repeats a call whose answer was lost on the way."""

SIGNING_KEY_LINGER = ACCESS_LIFETIME + timedelta(minutes=1)
"""How long a retired key is still listed; the minute is for a login that was in flight when the key was retired."""

REVOCATION_LIFETIME = ACCESS_LIFETIME + timedelta(minutes=1)
"""How long a revocation is told; the minute is for a token that was being signed when its session ended."""

REQUEST_MEMORY = timedelta(days=2)
"""How long a registration may be repeated by its request_id. No longer than clients need: a repeat tells whether its
password is right, which only its address limits.
"""

MOST_API_KEYS = 100
"""Keys of one account that are good at once."""

API_KEY_MEMORY = timedelta(days=30)
"""How long a key that is good no longer is still listed, and its request_id remembered."""

ERASING_CONTEXTS = ("generation", "executor", "results")
"""Who else keeps something of an account, and is asked to forget it."""

USERNAME_LENGTHS = range(3, 33)


class Role(StrEnum):
    USER = "user"
    OPERATOR = "operator"


class Scope(StrEnum):
    """What an API key is good for."""

    GENERATE = "generate"
    READ = "read"
    SHARE = "share"
    ADMIN = "admin"


@dataclass(frozen=True)
class User:
    id: UserId
    username: str
    email: str
    created_at: datetime
    role: Role = Role.USER


@dataclass(frozen=True)
class Credentials:
    """What a password is checked against."""

    user: User
    password_hash: str = field(repr=False)


@dataclass(frozen=True)
class Registration:
    """Who was registered by a request, and by which: SHA-256 of its names. Its password is known by the hash."""

    credentials: Credentials
    request_hash: bytes


@dataclass(frozen=True)
class Session:
    """One sign-in of one user. `expires_at` is the expiry of its youngest refresh token."""

    id: SessionId
    user_id: UserId
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    device: str = ""


@dataclass(frozen=True)
class RefreshToken:
    """What is kept of a refresh token. `used_at` is its first exchange."""

    token_hash: bytes = field(repr=False)
    """SHA-256. Of 256 random bits it needs neither salt nor stretching."""
    session_id: SessionId
    created_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True)
class ApiKey:
    """What is kept of an API key. `prefix` is what its owner recognises the secret by."""

    id: ApiKeyId
    user_id: UserId
    name: str
    scopes: frozenset[Scope]
    key_hash: bytes = field(repr=False)
    """SHA-256. Of 256 random bits it needs neither salt nor stretching."""
    prefix: str
    request_id: str | None
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def lifetime(self) -> timedelta | None:
        return self.expires_at - self.created_at if self.expires_at else None

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


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


@dataclass(frozen=True)
class Limit:
    """`count` at once, and then one every `period / count` (GCRA, ITU-T I.371 annex A)."""

    count: int
    period: timedelta

    @property
    def interval(self) -> timedelta:
        return self.period / self.count

    @property
    def burst(self) -> timedelta:
        return self.interval * self.count


@dataclass(frozen=True)
class Attempt:
    """Something that is counted under a key, a hash, and how often it may be done."""

    key: bytes
    limit: Limit


@dataclass(frozen=True)
class Grant:
    """What an access token says: whose it is, of which session or API key, and until when."""

    user_id: UserId
    sid: UUID
    role: Role
    expires_at: datetime
    scopes: frozenset[Scope] | None = None
    """None for a session, which is good for everything that its account may do."""


class UsernameTaken(Exception):
    def __init__(self) -> None:
        super().__init__("this username is taken")
        self.violations = [("username", "is taken")]


class EmailTaken(Exception):
    def __init__(self) -> None:
        super().__init__("this e-mail address is taken")
        self.violations = [("email", "is taken")]


class PasswordRefused(ValueError):
    """Too easy to guess; the text says why."""


class RequestIdReused(Exception):
    def __init__(self) -> None:
        super().__init__("this request_id belongs to another request")


class TooManyAttempts(Exception):
    """`retry_after` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("too many attempts; try again later")
        self.retry_after = retry_after


class WrongPassword(Exception):
    def __init__(self) -> None:
        super().__init__("this is not the account's password")


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


class SessionNotFound(Exception):
    def __init__(self) -> None:
        super().__init__("no such session")


class ApiKeyNotFound(Exception):
    def __init__(self) -> None:
        super().__init__("no such API key")


class TooManyApiKeys(Exception):
    def __init__(self) -> None:
        super().__init__(f"the account has {MOST_API_KEYS} API keys; revoke one first")


class ScopeNotAllowed(ValueError):
    def __init__(self) -> None:
        super().__init__("admin is for operators only")


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


def judge_scopes(scopes: Collection[Scope], role: Role) -> None:
    """Raises ScopeNotAllowed."""
    if Scope.ADMIN in scopes and role is not Role.OPERATOR:
        raise ScopeNotAllowed


def judge_password(password: str, username: str, email: str, common: Collection[str]) -> None:
    """Raises PasswordRefused for what a guesser tries first; what else it is made of is nobody's business.

    NIST SP 800-63B §5.1.1.2: common passwords and the names of the account are refused, compositions are not asked for.
    """
    guess = fold(password)
    if guess in (fold(username), fold(email), fold(email.rpartition("@")[0])):
        raise PasswordRefused("must not be the name or the e-mail address of the account")
    if guess in common:
        raise PasswordRefused("is one of the most common passwords")


def fold(text: str) -> str:
    """What is alike in all that a guesser need not care for: case, width, composition."""
    return normalise(normalise(text).casefold())


def normalise(text: str) -> str:
    """The one spelling of a name or password (NFKC, Unicode Standard Annex 15), however it was typed."""
    return unicodedata.normalize("NFKC", text)


def parse_username(text: str) -> str:
    """The username as it is kept.

    Raises ValueError if it breaks the contract's rule once it is normalised: `ﬀ` is a letter and becomes two, `½` is
    a number and becomes `1⁄2`, whose stroke is none.
    """
    username = normalise(text)
    allowed = len(username) in USERNAME_LENGTHS and all(_kind(character) in "LMN." for character in username)
    # A mark is written upon the letter before it: without one it would be drawn upon whatever stands there.
    if not allowed or _kind(username[0]) == "M":
        raise ValueError("must be 3 to 32 letters or digits, '.', '_' or '-'")
    return username


def _kind(character: str) -> str:
    """L for letters, M for marks, N for numbers, `.` for what may stand between them, else something else."""
    return "." if character in "._-" else unicodedata.category(character)[0]
