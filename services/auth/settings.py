"""The environment of auth."""

from cryptography.fernet import Fernet, MultiFernet
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """`AUTH_…`."""

    # Its errors would quote the values that are there, secrets among them.
    model_config = SettingsConfigDict(env_prefix="AUTH_", hide_input_in_errors=True)

    database_url: str
    listen: str
    """`host:port`."""
    encryption_keys: str
    """Fernet keys, separated by commas: the first encrypts, all decrypt. They guard the signing keys at rest."""

    def encryption(self) -> MultiFernet:
        """Raises ValueError if a key is malformed."""
        return MultiFernet([Fernet(key) for key in self.encryption_keys.split(",")])
