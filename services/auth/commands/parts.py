"""What a command works with: the database and what opens its secrets, from the environment of auth."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.fernet import MultiFernet
from pydantic import ValidationError

from services.auth.settings import StoreSettings
from services.auth.signing import SigningKeys
from services.runtime.database import Database
from services.runtime.errors import DependencyUnavailable


@dataclass(frozen=True)
class Parts:
    database: Database
    encryption: MultiFernet

    @property
    def signing_keys(self) -> SigningKeys:
        return SigningKeys(self.database, self.encryption, now)


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def parts() -> Iterator[Parts]:
    """Of AUTH_DATABASE_URL and AUTH_ENCRYPTION_KEYS.

    Ends the process with a sentence where one is missing or wrong, or the database is away.
    """
    try:
        settings = StoreSettings()
    except ValidationError as error:
        missing = ", ".join(f"AUTH_{name['loc'][0]}".upper() for name in error.errors())
        raise SystemExit(f"{missing} is not set: whose accounts?") from None
    with closing(Database(settings.database_url, connections=1)) as database:
        try:
            yield Parts(database, settings.encryption())
        except (DependencyUnavailable, ValueError) as error:
            raise SystemExit(f"Nothing was changed: {error}.") from None
