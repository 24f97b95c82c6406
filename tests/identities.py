"""Everybody that tests speak as: people with access tokens and services with service tokens."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.runtime.errors import TokenInvalid
from services.runtime.revocations import Revocations
from services.runtime.tokens import (
    AUDIENCE,
    SERVICE_KID,
    Authority,
    ServiceIdentity,
    TokenVerifier,
    TrustedServices,
    encode_key,
)

SERVICES = ("auth", "generation", "executor", "worker", "results", "gateway", "operator")
USER_KID = "test"

_user_key = Ed25519PrivateKey.generate()
_service_keys = {name: Ed25519PrivateKey.generate() for name in SERVICES}

Metadata = tuple[tuple[str, str], ...]


def as_person(user_id: UUID | None = None, **claimed: Any) -> Metadata:
    """Call metadata of a signed-in user; what is claimed as in `access_token`."""
    return (("authorization", f"Bearer {access_token(user_id, **claimed)}"),)


def access_token(
    user_id: UUID | None = None,
    *,
    expires_in: float = 3600,
    audience: str = AUDIENCE,
    sid: UUID | None = None,
    role: str = "user",
    scope: str | None = None,
) -> str:
    """`scope` as of an API key, separated by spaces; None as of a session. Good for longer than the tests run, since
    some make theirs when they are collected.
    """
    claims = {
        "sub": str(user_id or uuid4()),
        "sid": str(sid or uuid4()),
        "aud": audience,
        "exp": datetime.now(UTC) + timedelta(seconds=expires_in),
        "role": role,
    }
    if scope is not None:
        claims["scope"] = scope
    return jwt.encode(claims, _user_key, "EdDSA", headers={"kid": USER_KID})


def as_service(name: str, callee: str) -> Metadata:
    """Call metadata of one of our processes, good for a day: a module keeps it for as long as the tests run."""
    claims = {"iss": name, "aud": callee, "exp": datetime.now(UTC) + timedelta(days=1)}
    token = jwt.encode(claims, _service_keys[name], "EdDSA", headers={"kid": SERVICE_KID + name})
    return (("authorization", f"Bearer {token}"),)


def identity(name: str) -> ServiceIdentity:
    return ServiceIdentity(name, seed(name))


def seed(name: str) -> str:
    """The value of that service's `SERVICE_KEY_…`."""
    return encode_key(_service_keys[name].private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))


def public_key(name: str) -> str:
    """One entry of SERVICE_PUBLIC_KEYS."""
    return f"{name}={encode_key(_service_keys[name].public_key().public_bytes_raw())}"


class TestAuthority:
    """Knows the people of this module; `keys` are API keys with the access tokens that they are exchanged for."""

    __test__ = False

    def __init__(self) -> None:
        self.revocations = Revocations()
        self.keys: dict[str, str] = {}

    async def public_key(self, kid: str) -> Ed25519PublicKey | None:
        return _user_key.public_key() if kid == USER_KID else None

    async def exchange(self, api_key: str) -> str:
        if api_key not in self.keys:
            raise TokenInvalid
        return self.keys[api_key]

    async def follow(self) -> None:
        await asyncio.Event().wait()


def trusted_services() -> TrustedServices:
    """Every service of this module."""
    return TrustedServices({name: [key.public_key()] for name, key in _service_keys.items()})


def verifier(callee: str, authority: Authority | None = None) -> TokenVerifier:
    """Believes everybody of this module, as the named service would."""
    return TokenVerifier(callee, trusted_services(), authority or TestAuthority())
