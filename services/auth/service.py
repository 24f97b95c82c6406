"""What auth can do; one transaction each, and passwords are hashed outside of them."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy import Connection

from services.auth import store
from services.auth.domain import (
    REFRESH_LIFETIME,
    BadCredentials,
    Exchange,
    RefreshToken,
    RefreshTokenReused,
    Session,
    SessionId,
    SigningKey,
    Tokens,
    User,
    UserId,
    judge_exchange,
)
from services.auth.passwords import Passwords
from services.auth.signing import SigningKeys
from services.runtime.database import Database
from services.runtime.ids import uuid7

log = structlog.get_logger()

REFRESH_TOKEN_BYTES = 32


class Auth:
    """Blocks. Every method may raise DependencyUnavailable."""

    def __init__(
        self, database: Database, passwords: Passwords, signing_keys: SigningKeys, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._signing_keys = signing_keys
        self._clock = clock

    def register(self, username: str, email: str, password: str) -> User:
        """Raises UsernameTaken or EmailTaken."""
        password_hash = self._passwords.hash(password)
        user = User(UserId(uuid7()), username, email, self._clock())
        with self._database.transaction() as tx:
            store.add_user(tx, user, password_hash)
        return user

    def login(self, name: str, password: str) -> Tokens:
        """Open a session for who has this username or e-mail address. Raises BadCredentials."""
        with self._database.transaction() as tx:
            known = store.find_credentials(tx, name)
        if not self._passwords.verify(known.password_hash if known else None, password) or known is None:
            raise BadCredentials
        renewed = self._passwords.hash(password) if self._passwords.is_outdated(known.password_hash) else None
        now = self._clock()
        session = Session(SessionId(uuid7()), known.user_id, now, now, now + REFRESH_LIFETIME)
        with self._database.transaction() as tx:
            if renewed:
                store.replace_password_hash(tx, known, renewed)
            store.remove_expired_sessions(tx, known.user_id, now)
            store.add_session(tx, session)
            return self._issue(tx, session, now)

    def refresh(self, refresh_token: str) -> Tokens:
        """Raises RefreshTokenInvalid or RefreshTokenReused."""
        now = self._clock()
        token_hash = _hash(refresh_token)
        with self._database.transaction() as tx:
            session = store.lock_session_of_token(tx, token_hash)
            exchange = judge_exchange(session, store.get_refresh_token(tx, token_hash), now)
            if exchange is not Exchange.REUSE:
                if exchange is Exchange.FIRST:
                    store.use_refresh_token(tx, token_hash, now)
                store.extend_session(tx, session.id, now, now + REFRESH_LIFETIME)
                store.remove_old_refresh_tokens(tx, session.id, created_before=now - REFRESH_LIFETIME)
                return self._issue(tx, session, now)
            store.end_session(tx, session.id, now)
        # The end is committed; an exception inside the transaction would have taken it back.
        log.warning("a refresh token was used twice; its session is ended", session_id=str(session.id))
        raise RefreshTokenReused

    def logout(self, session_id: SessionId) -> None:
        """End this session, unless it has ended already."""
        with self._database.transaction() as tx:
            store.end_session(tx, session_id, self._clock())

    def logout_by_token(self, refresh_token: str) -> None:
        """End the session of this token, if it has one that has not ended already."""
        with self._database.transaction() as tx:
            store.end_session_of_token(tx, _hash(refresh_token), self._clock())

    def get_user(self, user_id: UserId) -> User:
        """Raises UserNotFound."""
        with self._database.transaction() as tx:
            return store.get_user(tx, user_id)

    def update_user(self, user_id: UserId, *, username: str | None, email: str | None) -> User:
        """Change what is not None. Raises UsernameTaken, EmailTaken or UserNotFound."""
        with self._database.transaction() as tx:
            return store.update_user(tx, user_id, username=username, email=email)

    def list_public_keys(self) -> list[SigningKey]:
        """The keys that a good access token may be signed with."""
        return self._signing_keys.list_public()

    def _issue(self, tx: Connection, session: Session, now: datetime) -> Tokens:
        refresh_token = secrets.token_urlsafe(REFRESH_TOKEN_BYTES)
        store.add_refresh_token(tx, RefreshToken(_hash(refresh_token), session.id, now))
        return Tokens(self._signing_keys.access_token(tx, session, now), refresh_token)


def _hash(refresh_token: str) -> bytes:
    return hashlib.sha256(refresh_token.encode()).digest()
