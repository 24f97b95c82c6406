"""The environment of auth."""

from datetime import timedelta

from cryptography.fernet import Fernet, MultiFernet
from pydantic import Field, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.auth.domain import Limit
from services.auth.limits import Limits
from services.auth.passwords import LEAST_MEMORY_KIB, MEMORY_KIB

LIMIT_PERIOD = timedelta(minutes=10)


class StoreSettings(BaseSettings):
    """`AUTH_…`, as much of it as commands need, too."""

    # Its errors would quote the values that are there, secrets among them.
    model_config = SettingsConfigDict(env_prefix="AUTH_", hide_input_in_errors=True)

    database_url: str
    encryption_keys: str
    """Fernet keys, separated by commas: the first encrypts, all decrypt. They guard what is secret at rest."""

    def encryption(self) -> MultiFernet:
        """Raises ValueError if a key is malformed."""
        return MultiFernet([Fernet(key) for key in self.encryption_keys.split(",")])


class Settings(StoreSettings):
    """`AUTH_…`. The limits are counts in ten minutes: that many at once, and then one as each is made up for."""

    listen: str
    """`host:port`."""
    password_memory_kib: int = Field(MEMORY_KIB, ge=LEAST_MEMORY_KIB)
    """What argon2id takes for one password; its time grows along. Whoever signs in next is hashed at a new cost."""
    account_failures: PositiveInt = 10
    """Wrong passwords for one name. NIST SP 800-63B §5.2.2 stops at 100 in a row; this allows 1,440 a day to a
    guesser who never rests, an eighth of the common passwords that are refused to begin with, and ten to a person
    who has forgotten which it was.
    """
    address_failures: PositiveInt = 50
    """Wrong passwords from one address. A guess at each of many names costs no name much; five people behind one
    address may still forget theirs at the same time.
    """
    address_registrations: PositiveInt = 100
    """New accounts from one address: a class that begins at once. Each costs a hash (passwords.py), so an address
    takes at most 6 s of one core in ten minutes.
    """

    def limits(self) -> Limits:
        counts = (self.account_failures, self.address_failures, self.address_registrations)
        return Limits(*(Limit(count, LIMIT_PERIOD) for count in counts))
