"""API keys: a secret that is shown once, and exchanged for a short access token by whoever is shown it."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from services.auth import store
from services.auth.domain import (
    ACCESS_LIFETIME,
    MOST_API_KEYS,
    ApiKey,
    ApiKeyId,
    Grant,
    RequestIdReused,
    Scope,
    TooManyApiKeys,
    UserId,
    judge_scopes,
)
from services.auth.signing import SigningKeys
from services.runtime.database import Database
from services.runtime.errors import TokenExpired, TokenInvalid, TokenRevoked
from services.runtime.ids import uuid7
from services.runtime.tokens import API_KEY_PREFIX

SECRET_BYTES = 32
PREFIX_LENGTH = len(API_KEY_PREFIX) + 8
"""Enough to tell a hundred keys apart, and far from enough to guess the other 208 bits."""


class ApiKeys:
    """Blocks. Every method may raise DependencyUnavailable."""

    def __init__(self, database: Database, signing_keys: SigningKeys, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._signing_keys = signing_keys
        self._clock = clock

    def create(
        self, user_id: UserId, request_id: str, name: str, scopes: frozenset[Scope], lifetime: timedelta | None
    ) -> tuple[ApiKey, str]:
        """The key and its secret; of a request that is repeated the key that it made, and no secret.

        Raises ScopeNotAllowed, RequestIdReused, TooManyApiKeys or UserNotFound.
        """
        now = self._clock()
        secret = API_KEY_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        key = ApiKey(
            id=ApiKeyId(uuid7()),
            user_id=user_id,
            name=name,
            scopes=scopes,
            key_hash=_hash(secret),
            prefix=secret[:PREFIX_LENGTH],
            request_id=request_id or None,
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime,
        )
        with self._database.transaction() as tx:
            role = store.lock_credentials(tx, user_id).user.role
            earlier = store.find_api_key_of_request(tx, user_id, request_id) if request_id else None
            if earlier is not None:
                if (earlier.name, earlier.scopes, earlier.lifetime) != (name, scopes, lifetime):
                    raise RequestIdReused
                return earlier, ""
            judge_scopes(scopes, role)
            if store.count_good_api_keys(tx, user_id, now) >= MOST_API_KEYS:
                raise TooManyApiKeys
            store.add_api_key(tx, key)
        return key, secret

    def list_of(self, user_id: UserId) -> list[ApiKey]:
        """Newest first; those that were good lately, too."""
        with self._database.transaction() as tx:
            return store.list_api_keys(tx, user_id, self._clock())

    def revoke(self, user_id: UserId, key_id: ApiKeyId) -> None:
        """Raises ApiKeyNotFound."""
        with self._database.transaction() as tx:
            store.revoke_api_key(tx, user_id, key_id, self._clock())

    def exchange(self, secret: str) -> tuple[str, datetime]:
        """An access token, and until when it is good: in whole seconds, as the token has it.

        Raises TokenInvalid, TokenRevoked or TokenExpired.
        """
        now = self._clock()
        with self._database.transaction() as tx:
            found = store.find_api_key_of_secret(tx, _hash(secret))
            if found is None:
                raise TokenInvalid
            key, role = found
            if key.revoked_at is not None:
                raise TokenRevoked
            if key.has_expired(now):
                raise TokenExpired
            store.mark_used(tx, key.id, now)
            expires_at = min(now + ACCESS_LIFETIME, key.expires_at or datetime.max.replace(tzinfo=now.tzinfo))
            grant = Grant(key.user_id, key.id, role, expires_at.replace(microsecond=0), key.scopes)
            return self._signing_keys.access_token(tx, grant, now), grant.expires_at


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
