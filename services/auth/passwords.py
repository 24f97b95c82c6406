"""How passwords are kept and checked: argon2id (RFC 9106)."""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from services.auth.domain import normalise

COST = PasswordHasher(time_cost=2, memory_cost=32 * 1024, parallelism=1)
"""55 ms of one core. OWASP's least is 2 passes over 19 MiB; here it is 32 MiB, so eight threads take 256 MiB at most.

One lane, because a second would only take the core that another login needs.
"""


class Passwords:
    """Blocks for the whole cost: call it on the thread pool and outside transactions.

    An `é` may be typed as one code point or as two: both are the same password (NFKC, NIST SP 800-63B §5.1.1.2).
    """

    def __init__(self, hasher: PasswordHasher = COST) -> None:
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
