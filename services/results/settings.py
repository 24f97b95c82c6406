"""The environment of results."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """`RESULTS_…`, and the addresses of neighbours."""

    model_config = SettingsConfigDict(env_prefix="RESULTS_")

    database_url: str
    listen: str
    """`host:port`."""
    store_url: str
    """Where the bytes lie: `file:///folder`, `s3://bucket/prefix`, …"""
    signing_key: str
    """Signs image links: 32 bytes, base64url."""
    auth_address: str = Field(validation_alias="AUTH_ADDRESS")
