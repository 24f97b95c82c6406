"""What one installation must keep to itself, and the same from run to run: DATA_DIR/secrets.json."""

import base64
import json
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.local.engines import Engine
from deploy.local.files import replace

CONTEXTS = ("auth", "generation", "executor", "results")
IDENTITIES = (*CONTEXTS, "worker", "gateway", "operator")  # the last is a person at a shell, not a process


def _key() -> str:
    """32 random bytes in base64url: a Fernet key, an HMAC key or an Ed25519 seed."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _engine_id() -> str:
    return str(uuid.uuid4())


_MAKERS: Mapping[str, Callable[[], str]] = {
    "postgres_password": lambda: secrets.token_urlsafe(24),
    **{f"{context}_database_password": lambda: secrets.token_urlsafe(24) for context in CONTEXTS},
    "redis_password": lambda: secrets.token_urlsafe(24),
    "auth_encryption_key": _key,
    "results_signing_key": _key,
    **{f"{identity}_service_key": _key for identity in IDENTITIES},
    "demo_password": lambda: secrets.token_urlsafe(12),
}


def load_secrets(path: Path, engines: Sequence[Engine]) -> Mapping[str, str]:
    """Reads the secrets, first making those that are missing. The file is for its owner only (0600)."""
    known = json.loads(path.read_text()) if path.exists() else {}
    makers = {**_MAKERS, **{engine.id_secret: _engine_id for engine in engines}}
    missing = {name: make() for name, make in makers.items() if name not in known}
    if missing:
        replace(path, json.dumps(known | missing, indent=2))
    return known | missing


def public_keys(known: Mapping[str, str]) -> str:
    """Each service identity with its raw Ed25519 public key in base64url: `auth=…,generation=…`."""
    return ",".join(f"{name}={_public(known[f'{name}_service_key'])}" for name in IDENTITIES)


def _public(seed: str) -> str:
    key = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(seed))
    return base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode()
