"""How passwords are kept and checked: argon2id (RFC 9106)."""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from services.auth.domain import normalise

LEAST_MEMORY_KIB = 19 * 1024
"""OWASP's least with two passes and one lane: 20 ms of one core."""

MEMORY_KIB = 32 * 1024
"""55 ms of one core; eight threads take 256 MiB at most."""


def hasher(memory_kib: int = MEMORY_KIB) -> PasswordHasher:
    """One lane, because a second would only take the core that another login needs."""
    return PasswordHasher(time_cost=2, memory_cost=memory_kib, parallelism=1)


class Passwords:
    """Blocks for the whole cost: call it on the thread pool and outside transactions.

    An `é` may be typed as one code point or as two: both are the same password (NFKC, NIST SP 800-63B §5.1.1.2).
    """

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self._hash_of_nobody = hasher.hash(secrets.token_bytes(32))

    def hash(self, password: str) -> str:
        """The PHC string that is kept."""
        return self._hasher.hash(normalise(password))

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password. None, for an account that is not there, takes as long and never matches."""
        try:
            self._hasher.verify(password_hash or self._hash_of_nobody, normalise(password))
        except VerifyMismatchError:
            return False
        return password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made at another cost than today's."""
        return self._hasher.check_needs_rehash(password_hash)
