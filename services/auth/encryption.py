"""Secrets at rest: encrypted by the first of AUTH_ENCRYPTION_KEYS, readable with any of them.

To change the encryption key, let every replica read a new one, which stands behind the old one; then put it before the
old one; rewrite what is kept (`python -m services.auth keys reencrypt`); then leave the old one out.
"""

from cryptography.fernet import InvalidToken, MultiFernet

from services.auth import store
from services.runtime.database import Database


def decrypt(encryption: MultiFernet, value: bytes, name: str) -> bytes:
    """Raises ValueError if none of the keys made it."""
    try:
        return encryption.decrypt(value)
    except InvalidToken as error:
        raise ValueError(f"none of the encryption keys opens {name}") from error


def reencrypt(database: Database, encryption: MultiFernet) -> int:
    """Encrypt everything by the first key; returns how many values there are.

    Raises ValueError if one of them cannot be read, and leaves all as they are.
    """

    def rewrite(value: bytes) -> bytes:
        return encryption.encrypt(decrypt(encryption, value, "what is kept"))

    with database.transaction() as tx:
        store.lock_secrets(tx)
        return store.rewrite_secrets(tx, rewrite)
