"""The keys that sign access tokens, and the tokens.

The table is read afresh for every signature and every listing, so a key that another replica adds or retires counts
at once. Only public keys are remembered, and looked up again when a token names one that is not among them.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

import jwt
from cryptography.fernet import MultiFernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection

from services.auth import store
from services.auth.domain import SIGNING_KEY_LINGER, Grant, SigningKey
from services.auth.encryption import decrypt
from services.runtime.database import Database
from services.runtime.ids import uuid7
from services.runtime.tokens import AUDIENCE

ISSUER = "imagegen"


class SigningKeys:
    """Every method may raise DependencyUnavailable."""

    def __init__(self, database: Database, encryption: MultiFernet, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._encryption = encryption
        self._clock = clock
        self._public: dict[str, Ed25519PublicKey] = {}
        self._looking_up = asyncio.Lock()

    def prepare(self) -> None:
        """Make the first key if there is none; replicas that start at once make one between them.

        Raises ValueError if the key that is there cannot be decrypted.
        """
        with self._database.transaction() as tx:
            store.lock_secrets(tx)
            key = store.find_signing_key(tx)
            if key is None:
                store.add_signing_key(tx, self._new_key())
            else:
                self._decrypt(key)

    def rotate(self) -> SigningKey:
        """Sign with a new key from now on. The old one is listed until its last token has expired."""
        with self._database.transaction() as tx:
            store.lock_secrets(tx)
            store.retire_signing_keys(tx, self._clock())
            key = self._new_key()
            store.add_signing_key(tx, key)
        return key

    def access_token(self, tx: Connection, grant: Grant, now: datetime) -> str:
        """A JWT (RFC 7519)."""
        key = store.find_signing_key(tx)
        assert key is not None, "prepare() has made one, and a key is retired only for another"
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(grant.user_id),
            "sid": str(grant.sid),
            "iat": now,
            "exp": grant.expires_at,
            "jti": str(uuid4()),
            "role": str(grant.role),
        }
        if grant.scopes is not None:
            claims["scope"] = " ".join(sorted(grant.scopes))
        return jwt.encode(claims, self._decrypt(key), "EdDSA", headers={"kid": str(key.id)})

    def list_public(self) -> list[SigningKey]:
        """The keys that a good token may be signed with, newest first."""
        with self._database.transaction() as tx:
            return store.list_signing_keys(tx, retired_after=self._clock() - SIGNING_KEY_LINGER)

    async def find_public(self, kid: str) -> Ed25519PublicKey | None:
        """The public key of this id, for the event loop."""
        if kid not in self._public:
            # A flood of made-up ids holds one connection, and those who send known ones do not wait for it.
            async with self._looking_up:
                if kid not in self._public:
                    keys = await asyncio.to_thread(self.list_public)
                    self._public = {str(key.id): Ed25519PublicKey.from_public_bytes(key.public_key) for key in keys}
        return self._public.get(kid)

    def _new_key(self) -> SigningKey:
        private_key = Ed25519PrivateKey.generate()
        return SigningKey(
            id=uuid7(),
            private_key_encrypted=self._encryption.encrypt(private_key.private_bytes_raw()),
            public_key=private_key.public_key().public_bytes_raw(),
            created_at=self._clock(),
        )

    def _decrypt(self, key: SigningKey) -> Ed25519PrivateKey:
        seed = decrypt(self._encryption, key.private_key_encrypted, f"the signing key {key.id}")
        return Ed25519PrivateKey.from_private_bytes(seed)
