"""Everybody that tests speak as: people with access tokens and services with service tokens."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.runtime.tokens import AUDIENCE, ServiceIdentity, TokenVerifier, TrustedServices, encode_key

SERVICES = ("auth", "generation", "executor", "worker", "results", "gateway", "operator")
USER_KID = "test"

_user_key = Ed25519PrivateKey.generate()
_service_keys = {name: Ed25519PrivateKey.generate() for name in SERVICES}

Metadata = tuple[tuple[str, str], ...]


def as_person(user_id: UUID | None = None, *, expires_in: float = 600, audience: str = AUDIENCE) -> Metadata:
    """Call metadata of a signed-in user."""
    return (("authorization", f"Bearer {access_token(user_id, expires_in=expires_in, audience=audience)}"),)


def access_token(user_id: UUID | None = None, *, expires_in: float = 600, audience: str = AUDIENCE) -> str:
    claims = {
        "sub": str(user_id or uuid4()),
        "sid": str(uuid4()),
        "aud": audience,
        "exp": datetime.now(UTC) + timedelta(seconds=expires_in),
    }
    return jwt.encode(claims, _user_key, "EdDSA", headers={"kid": USER_KID})


def as_service(name: str, callee: str) -> Metadata:
    """Call metadata of one of our processes."""
    return (("authorization", f"Bearer {identity(name).token(callee)}"),)


def identity(name: str) -> ServiceIdentity:
    return ServiceIdentity(name, seed(name))


def seed(name: str) -> str:
    """The value of that service's `SERVICE_KEY_…`."""
    return encode_key(_service_keys[name].private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))


def verifier(callee: str) -> TokenVerifier:
    """Believes everybody of this module, as the named service would."""

    async def user_keys(kid: str) -> Ed25519PublicKey | None:
        return _user_key.public_key() if kid == USER_KID else None

    trusted = TrustedServices({name: key.public_key() for name, key in _service_keys.items()})
    return TokenVerifier(callee, trusted, user_keys)
