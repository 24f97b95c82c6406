"""The environment of results."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.results.blobs import S3Options


class Settings(BaseSettings):
    """`RESULTS_…`, and the addresses of neighbours."""

    model_config = SettingsConfigDict(env_prefix="RESULTS_", env_ignore_empty=True, hide_input_in_errors=True)

    database_url: str
    listen: str
    """`host:port`."""
    store_url: str
    """Where the bytes lie: `file:///folder`, or `s3://bucket/prefix` and what follows (docs/storage.md)."""
    store_endpoint: str | None = None
    store_region: str | None = None
    store_access_key_id: str | None = None
    store_secret_access_key: SecretStr | None = None
    store_virtual_hosted: bool = True
    store_redirects: bool = False
    """Whether clients can reach the store, and so may be sent there for their pictures."""
    signing_key: str
    """Signs image links: 32 bytes, base64url; or several, separated by commas: the first signs, all are believed."""
    quota_bytes: int = Field(default=0, ge=0, lt=2**63)
    """What one owner's pictures may take before nothing more is accepted; 0: as much as they like."""
    retention_days: int = Field(default=0, ge=0, le=36_500)
    """How long a picture stays that nobody keeps, of a century at most; 0: for ever."""
    auth_address: str = Field(validation_alias="AUTH_ADDRESS")

    @property
    def s3(self) -> S3Options:
        secret = self.store_secret_access_key
        return S3Options(
            endpoint=self.store_endpoint,
            region=self.store_region,
            access_key_id=self.store_access_key_id,
            secret_access_key=secret.get_secret_value() if secret else None,
            virtual_hosted=self.store_virtual_hosted,
        )
