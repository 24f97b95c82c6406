"""The environment of generation."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class GenerationSettings(BaseSettings):
    """Where generation listens, whom it calls, and how much one person may ask for at once."""

    model_config = SettingsConfigDict(env_prefix="GENERATION_", hide_input_in_errors=True)

    database_url: str
    listen: str
    auth_address: str = Field(validation_alias="AUTH_ADDRESS")
    executor_address: str = Field(validation_alias="EXECUTOR_ADDRESS")
    results_address: str = Field(validation_alias="RESULTS_ADDRESS")
    queued_cap: int = Field(default=100, gt=0)
    """Unfinished tasks per owner. Fair share keeps owners apart whatever this is, so it only bounds what a
    runaway script leaves behind: an hour of work for one GPU at half a minute a picture."""
