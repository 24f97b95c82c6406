"""Who is calling: access tokens of people and tokens of services, both Ed25519 JWTs (RFC 7519, RFC 8037).

A person's token is signed by auth and verified with auth's published keys. A service signs its own with
its bootstrap key, for one callee at a time, so that services can talk while auth is away.
"""

import base64
import binascii
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.runtime.errors import TokenExpired, TokenInvalid

AUDIENCE = "imagegen"
"""Audience of every person's access token."""

SERVICE_KID = "service:"
"""Key ids of services begin with this; the rest is the service's name."""

SERVICE_TOKEN_SECONDS = 300

UserKeys = Callable[[str], Awaitable[Ed25519PublicKey | None]]
"""Key id → auth's public key, or None if auth has no such key."""


@dataclass(frozen=True)
class Person:
    """A signed-in user, as the access token says."""

    user_id: UUID
    session_id: UUID
    expires: datetime


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
    """The public key of each service that may call."""

    keys: Mapping[str, Ed25519PublicKey]

    @classmethod
    def parse(cls, text: str) -> "TrustedServices":
        """From `name=key,…`. Raises ValueError on anything else."""
        pairs = (item.split("=", 1) for item in text.split(",") if item)
        return cls({name: Ed25519PublicKey.from_public_bytes(decode_key(key)) for name, key in pairs})


class TokenVerifier:
    """Tells who sent a token, or why it is not believed.

    When it was issued is not checked (RFC 7519 §4.1.6 asks for no check): the signer's clock may be ahead of ours.
    """

    def __init__(self, callee: str, services: TrustedServices, user_keys: UserKeys) -> None:
        self._callee = callee
        self._services = services
        self._user_keys = user_keys

    async def verify(self, token: str) -> Person | Service:
        """Raises TokenInvalid or TokenExpired."""
        try:
            kid = str(jwt.get_unverified_header(token).get("kid", ""))
            if kid.startswith(SERVICE_KID):
                return self._verify_service(token, kid.removeprefix(SERVICE_KID))
            return self._verify_person(token, await self._user_keys(kid))
        except jwt.ExpiredSignatureError as error:
            raise TokenExpired from error
        except (jwt.InvalidTokenError, ValueError) as error:
            raise TokenInvalid from error

    def _verify_service(self, token: str, name: str) -> Service:
        key = self._services.keys.get(name)
        if key is None:
            raise TokenInvalid
        jwt.decode(
            token,
            key,
            ["EdDSA"],
            audience=self._callee,
            issuer=name,
            options={"require": ["exp", "aud", "iss"], "verify_iat": False},
        )
        return Service(name)

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
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        return Person(UUID(claims["sub"]), UUID(claims["sid"]), expires)


def decode_key(text: str) -> bytes:
    """Base64url without padding (RFC 7515 §2) → bytes. Raises ValueError."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def encode_key(raw: bytes) -> str:
    """Bytes → base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
