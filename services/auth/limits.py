"""How often passwords may be wrong and accounts be made.

What is counted is known by a hash: a row tells neither a name nor an address nor an account. Attempts are counted
before a password is hashed and given back when it was right, so guesses that come at once find no gap between them.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from services.auth.domain import Attempt, Limit, UserId, fold
from services.runtime.addresses import network_of


@dataclass(frozen=True)
class Limits:
    account_failures: Limit
    address_failures: Limit
    address_registrations: Limit

    def login(self, name: str, address: str) -> Sequence[Attempt]:
        """By the name as it was typed, whether or not there is such an account: who is refused learns nothing."""
        return [
            Attempt(_key("login", fold(name)), self.account_failures),
            Attempt(_key("login from", network_of(address)), self.address_failures),
        ]

    def registration(self, address: str) -> Sequence[Attempt]:
        return [Attempt(_key("registration from", network_of(address)), self.address_registrations)]

    def password(self, user_id: UserId) -> Sequence[Attempt]:
        """Of who is signed in already, and is asked for it once more."""
        return [Attempt(_key("password of", str(user_id)), self.account_failures)]


def _key(what: str, whose: str) -> bytes:
    return hashlib.sha256(f"{what}\0{whose}".encode()).digest()
