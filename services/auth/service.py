"""What people can do with their accounts and sessions; one transaction each, passwords are hashed outside of them."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import structlog
from sqlalchemy import Connection

from services.auth import store
from services.auth.common_passwords import common_passwords
from services.auth.domain import (
    ACCESS_LIFETIME,
    REFRESH_LIFETIME,
    BadCredentials,
    Credentials,
    Exchange,
    Grant,
    RefreshToken,
    RefreshTokenReused,
    Registration,
    RequestIdReused,
    Role,
    Session,
    SessionId,
    SigningKey,
    Tokens,
    User,
    UserId,
    UserNotFound,
    WrongPassword,
    judge_exchange,
    judge_password,
)
from services.auth.erasures import Erasures
from services.auth.limits import Limits
from services.auth.passwords import Passwords
from services.auth.signing import SigningKeys
from services.runtime.database import Database
from services.runtime.ids import uuid7

log = structlog.get_logger()

REFRESH_TOKEN_BYTES = 32

T = TypeVar("T")


class Auth:
    """Blocks. Every method may raise DependencyUnavailable."""

    def __init__(
        self,
        *,
        database: Database,
        passwords: Passwords,
        signing_keys: SigningKeys,
        erasures: Erasures,
        limits: Limits,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._signing_keys = signing_keys
        self._erasures = erasures
        self._limits = limits
        self._clock = clock

    def register(
        self, username: str, email: str, password: str, *, request_id: str = "", address: str
    ) -> tuple[User, bool]:
        """The account, and whether an earlier call with this request_id had made it.

        Raises PasswordRefused, UsernameTaken, EmailTaken, RequestIdReused or TooManyAttempts.
        """
        judge_password(password, username, email, common_passwords())
        attempts = self._limits.registration(address)
        request_hash = hashlib.sha256(f"{username}\0{email}".encode()).digest()
        with self._database.transaction() as tx:
            store.reserve(tx, attempts, self._clock())
            earlier = store.find_registration(tx, request_id) if request_id else None
        if earlier is None:
            password_hash = self._passwords.hash(password)
            with self._database.transaction() as tx:
                if request_id:
                    store.lock_request(tx, request_id)
                    earlier = store.find_registration(tx, request_id)
                if earlier is None:
                    user = User(UserId(uuid7()), username, email, self._clock())
                    store.add_user(tx, user, password_hash, request_id or None, request_hash)
                    return user, False
        self._require_same(earlier, request_hash, password)
        with self._database.transaction() as tx:
            store.give_back(tx, attempts)
        return earlier.credentials.user, True

    def login(self, name: str, password: str, *, device: str = "", address: str) -> Tokens:
        """Open a session for who has this username or e-mail address. Raises BadCredentials or TooManyAttempts."""
        attempts = self._limits.login(name, address)
        with self._database.transaction() as tx:
            store.reserve(tx, attempts, self._clock())
            known = store.find_credentials(tx, name)

        def open_session(tx: Connection, user: User) -> Tokens:
            now = self._clock()
            session = Session(SessionId(uuid7()), user.id, now, now, now + REFRESH_LIFETIME, device=device)
            store.give_back(tx, attempts)
            store.remove_expired_sessions(tx, user.id, now)
            store.add_session(tx, session)
            return self._issue(tx, session, user.role, now)

        try:
            return self._confirmed(known, password, open_session, refusal=BadCredentials)
        except UserNotFound as error:
            raise BadCredentials from error

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
                return self._issue(tx, session, store.get_user(tx, session.user_id).role, now)
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

    def logout_everywhere(self, user_id: UserId) -> None:
        with self._database.transaction() as tx:
            store.end_sessions_of(tx, user_id, self._clock())

    def list_sessions(self, user_id: UserId) -> list[Session]:
        """Those that go on, newest first."""
        with self._database.transaction() as tx:
            return store.list_sessions(tx, user_id, self._clock())

    def end_session(self, user_id: UserId, session_id: SessionId) -> None:
        """Raises SessionNotFound."""
        with self._database.transaction() as tx:
            store.end_session_of(tx, user_id, session_id, self._clock())

    def get_user(self, user_id: UserId) -> User:
        """Raises UserNotFound."""
        with self._database.transaction() as tx:
            return store.get_user(tx, user_id)

    def update_user(self, user_id: UserId, *, username: str | None, email: str | None) -> User:
        """Change what is not None. Raises UsernameTaken, EmailTaken or UserNotFound."""
        with self._database.transaction() as tx:
            return store.update_user(tx, user_id, username=username, email=email)

    def change_password(self, user_id: UserId, current: str, new: str, *, keep: UUID) -> None:
        """Ends every session but `keep`. Raises PasswordRefused, WrongPassword, TooManyAttempts or UserNotFound."""
        attempts = self._limits.password(user_id)
        with self._database.transaction() as tx:
            known = store.get_credentials(tx, user_id)
            judge_password(new, known.user.username, known.user.email, common_passwords())
            store.reserve(tx, attempts, self._clock())
        password_hash = self._passwords.hash(new)

        def change(tx: Connection, user: User) -> None:
            store.give_back(tx, attempts)
            store.replace_password_hash(tx, user.id, password_hash)
            store.end_sessions_of(tx, user.id, self._clock(), but=keep)

        self._confirmed(known, current, change, refusal=WrongPassword)

    def delete_user(self, user_id: UserId, password: str) -> None:
        """Everywhere: the others are told until they have forgotten.

        Raises WrongPassword, TooManyAttempts or UserNotFound.
        """
        attempts = self._limits.password(user_id)
        with self._database.transaction() as tx:
            known = store.get_credentials(tx, user_id)
            store.reserve(tx, attempts, self._clock())

        def delete(tx: Connection, user: User) -> None:
            store.give_back(tx, attempts)
            store.end_sessions_of(tx, user.id, self._clock())
            store.revoke_api_keys_of(tx, user.id, self._clock())
            self._erasures.begin(tx, user.id)
            store.remove_user(tx, user.id)

        self._confirmed(known, password, delete, refusal=WrongPassword)

    def list_public_keys(self) -> list[SigningKey]:
        """The keys that a good access token may be signed with."""
        return self._signing_keys.list_public()

    def _confirmed(
        self,
        known: Credentials | None,
        password: str,
        act: Callable[[Connection, User], T],
        *,
        refusal: type[BadCredentials | WrongPassword],
    ) -> T:
        """Act in a transaction that holds the account, if the password is the account's.

        Raises `refusal`, or UserNotFound if the account is being deleted.

        The hash is checked outside of it and compared inside: one that has been replaced meanwhile is checked anew.
        """
        while True:
            if not self._passwords.verify(known.password_hash if known else None, password) or known is None:
                raise refusal
            renewed = self._passwords.hash(password) if self._passwords.is_outdated(known.password_hash) else None
            with self._database.transaction() as tx:
                held = store.lock_credentials(tx, known.user.id)
                if held.password_hash == known.password_hash:
                    if renewed:
                        store.replace_password_hash(tx, held.user.id, renewed)
                    return act(tx, held.user)
            known = held

    def _require_same(self, earlier: Registration, request_hash: bytes, password: str) -> None:
        """Raises RequestIdReused if it was another request."""
        is_same = self._passwords.verify(earlier.credentials.password_hash, password)
        if not is_same or earlier.request_hash != request_hash:
            raise RequestIdReused

    def _issue(self, tx: Connection, session: Session, role: Role, now: datetime) -> Tokens:
        refresh_token = secrets.token_urlsafe(REFRESH_TOKEN_BYTES)
        store.add_refresh_token(tx, RefreshToken(_hash(refresh_token), session.id, now))
        grant = Grant(session.user_id, session.id, role, now + ACCESS_LIFETIME)
        return Tokens(self._signing_keys.access_token(tx, grant, now), refresh_token)


def _hash(refresh_token: str) -> bytes:
    return hashlib.sha256(refresh_token.encode()).digest()
