"""The gateway's environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every field is required; an address is `host:port`."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    listen: str
    auth_address: str = Field(validation_alias="AUTH_ADDRESS")
    generation_address: str = Field(validation_alias="GENERATION_ADDRESS")
    results_address: str = Field(validation_alias="RESULTS_ADDRESS")
