"""Deleted accounts: who has yet to forget them, and what is kept of them afterwards.

What is kept is HMAC-SHA256 of the id under a key of its own, made once and kept encrypted in the table `secrets`. It
is no encryption key and derived from none: those are changed, and then nobody could tell any more whether an id, found
in a backup say, is one of those that were to be forgotten.
"""

import hmac
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography.fernet import MultiFernet
from sqlalchemy import Connection

from services.auth import store
from services.auth.domain import UserId
from services.auth.encryption import decrypt
from services.runtime.database import Database

KEY = "erasures"
KEY_BYTES = 32


class Erasures:
    """Every method may raise DependencyUnavailable."""

    def __init__(self, database: Database, encryption: MultiFernet, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._encryption = encryption
        self._clock = clock

    def prepare(self) -> None:
        """Make the key if there is none. Raises ValueError if the one that is there cannot be decrypted."""
        with self._database.transaction() as tx:
            store.lock_secrets(tx)
            if store.find_secret(tx, KEY) is None:
                store.add_secret(tx, KEY, self._encryption.encrypt(secrets.token_bytes(KEY_BYTES)))
            self._key(tx)

    def begin(self, tx: Connection, user_id: UserId) -> None:
        """Have everybody forget this account."""
        store.add_erasure(tx, user_id, hmac.digest(self._key(tx), user_id.bytes, "sha256"), self._clock())

    def pending(self, context: str) -> Sequence[UserId]:
        """Whom this context has yet to forget, oldest first."""
        with self._database.transaction() as tx:
            return store.list_erasures(tx, context)

    def acknowledge(self, context: str, user_id: UserId) -> None:
        """This context has nothing of the account any more; an account that is not being erased is ignored."""
        with self._database.transaction() as tx:
            store.acknowledge_erasure(tx, user_id, context, self._clock())

    def _key(self, tx: Connection) -> bytes:
        kept = store.find_secret(tx, KEY)
        assert kept is not None, "prepare() has made it"
        return decrypt(self._encryption, kept, "the key of erasures")
