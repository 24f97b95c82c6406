"""How the passwords of share links are kept and checked: argon2id (RFC 9106)."""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

COST = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""35 ms of one core: OWASP's least. A link's password guards one picture, and no more than eight are hashed at once."""


class Passwords:
    """Blocks for the whole cost: call it on the thread pool and outside transactions.

    An `é` may be typed as one code point or as two: both are the same password (NFKC, NIST SP 800-63B §5.1.1.2).
    """

    def __init__(self, hasher: PasswordHasher = COST) -> None:
        self._hasher = hasher

    def hash(self, password: str) -> str:
        """The PHC string that is kept."""
        return self._hasher.hash(unicodedata.normalize("NFKC", password))

    def verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, unicodedata.normalize("NFKC", password))
        except VerifyMismatchError:
            return False
