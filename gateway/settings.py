"""The gateway's environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """An address is `host:port`."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", hide_input_in_errors=True)

    listen: str
    auth_address: str = Field(validation_alias="AUTH_ADDRESS")
    generation_address: str = Field(validation_alias="GENERATION_ADDRESS")
    results_address: str = Field(validation_alias="RESULTS_ADDRESS")
    executor_address: str = Field(validation_alias="EXECUTOR_ADDRESS")
    redis_url: str = Field(validation_alias="REDIS_URL")

    rate_limit_per_user: int = Field(600, ge=0)
    """Requests a minute; 0: any number. A page that reads every second and an impatient person need 100."""
    rate_limit_per_address: int = Field(300, ge=0)
    """The same, of everybody behind one address who sends no good token: an office signs in."""
