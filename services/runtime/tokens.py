"""Who is calling: access tokens of people and tokens of services, both Ed25519 JWTs (RFC 7519, RFC 8037).

A person's token is signed by auth and verified with auth's published keys; an API key is exchanged for one first. A
service signs its own with its bootstrap key, for one callee at a time, so that services can talk while auth is away.
"""

import base64
import binascii
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.runtime.errors import TokenExpired, TokenInvalid, TokenRevoked
from services.runtime.revocations import Revocations

AUDIENCE = "imagegen"
"""Audience of every person's access token."""

SERVICE_KID = "service:"
"""Key ids of services begin with this; the rest is the service's name."""

SERVICE_TOKEN_SECONDS = 300

OPERATOR = "operator"
"""The claim `role` of an account that may call what is for operators."""

API_KEY_PREFIX = "igk_"
"""Every API key begins so: it is told from a JWT at a glance, and found by scanners of leaked secrets."""


@dataclass(frozen=True)
class Person:
    """A signed-in user, as the access token says. `session_id` is an API key's id if `scopes` are given."""

    user_id: UUID
    session_id: UUID
    expires: datetime
    is_operator: bool = False
    scopes: frozenset[str] | None = None
    """What an API key is good for; None for a session, which is good for everything that its account may do."""


@dataclass(frozen=True)
class Service:
    """A process of ours, by the name that its key is trusted under."""

    name: str


Caller = Person | Service | None
"""None is an anonymous caller."""


class ServiceIdentity:
    """Mints this process's service tokens."""

    def __init__(self, name: str, seed: str) -> None:
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(decode_key(seed))
        self._minted: dict[str, tuple[str, float]] = {}

    def token(self, audience: str) -> str:
        """A token for one callee, good for at least half of its five minutes."""
        now = time.time()
        token, renew_at = self._minted.get(audience, ("", 0.0))
        if now >= renew_at:
            claims = {
                "iss": self.name,
                "aud": audience,
                "iat": int(now),
                "exp": int(now) + SERVICE_TOKEN_SECONDS,
            }
            token = jwt.encode(claims, self._key, "EdDSA", headers={"kid": SERVICE_KID + self.name})
            self._minted[audience] = (token, now + SERVICE_TOKEN_SECONDS / 2)
        return token


@dataclass(frozen=True)
class TrustedServices:
    """The public keys of each service that may call: one, or while it gets a new one, both."""

    keys: Mapping[str, Sequence[Ed25519PublicKey]]

    @classmethod
    def parse(cls, text: str) -> "TrustedServices":
        """From `name=key,…`, where a name may come again. Raises ValueError on anything else."""
        keys: dict[str, list[Ed25519PublicKey]] = {}
        for name, key in (item.split("=", 1) for item in text.split(",") if item):
            keys.setdefault(name, []).append(Ed25519PublicKey.from_public_bytes(decode_key(key)))
        return cls(keys)


class Authority(Protocol):
    """Whom a `TokenVerifier` asks: auth itself, or auth from afar. Belongs to one event loop."""

    revocations: Revocations

    async def public_key(self, kid: str) -> Ed25519PublicKey | None:
        """The key that signs access tokens under this id, or None. Raises DependencyUnavailable."""

    async def exchange(self, api_key: str) -> str:
        """The access token of an API key.

        Raises TokenInvalid, TokenExpired, TokenRevoked or DependencyUnavailable.
        """

    async def follow(self) -> None:
        """Keep `revocations` up to date, for ever."""


class TokenVerifier:
    """Tells who sent a token, or why it is not believed.

    When it was issued is not checked (RFC 7519 §4.1.6 asks for no check): the signer's clock may be ahead of ours.
    """

    def __init__(self, callee: str, services: TrustedServices, authority: Authority) -> None:
        self._callee = callee
        self._services = services
        self.authority = authority

    async def verify(self, token: str) -> Person | Service:
        """Who sent an access token, a service token or an API key.

        Raises TokenInvalid, TokenExpired, TokenRevoked or DependencyUnavailable.
        """
        if token.startswith(API_KEY_PREFIX):
            token = await self.authority.exchange(token)
        try:
            kid = str(jwt.get_unverified_header(token).get("kid", ""))
            if kid.startswith(SERVICE_KID):
                return self._verify_service(token, kid.removeprefix(SERVICE_KID))
            return self._verify_person(token, await self.authority.public_key(kid))
        except jwt.ExpiredSignatureError as error:
            raise TokenExpired from error
        except (jwt.InvalidTokenError, ValueError) as error:
            raise TokenInvalid from error

    def _verify_service(self, token: str, name: str) -> Service:
        for key in self._services.keys.get(name, ()):
            with suppress(jwt.InvalidSignatureError):
                jwt.decode(
                    token,
                    key,
                    ["EdDSA"],
                    audience=self._callee,
                    issuer=name,
                    options={"require": ["exp", "aud", "iss"], "verify_iat": False},
                )
                return Service(name)
        raise TokenInvalid

    def _verify_person(self, token: str, key: Ed25519PublicKey | None) -> Person:
        if key is None:
            raise TokenInvalid
        claims = jwt.decode(
            token,
            key,
            ["EdDSA"],
            audience=AUDIENCE,
            options={"require": ["exp", "aud", "sub", "sid"], "verify_iat": False},
        )
        scope = claims.get("scope")
        who = Person(
            UUID(claims["sub"]),
            UUID(claims["sid"]),
            datetime.fromtimestamp(claims["exp"], UTC),
            is_operator=claims.get("role") == OPERATOR,
            scopes=None if scope is None else frozenset(scope.split()),
        )
        if who.session_id in self.authority.revocations:
            raise TokenRevoked
        return who


def decode_key(text: str) -> bytes:
    """Base64url without padding (RFC 7515 §2) → bytes. Raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def encode_key(raw: bytes) -> str:
    """Bytes → base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
