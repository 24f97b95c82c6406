"""The web process's environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="APP_", hide_input_in_errors=True)

    listen: str
    """`host:port`."""
    gateway_address: str = Field(validation_alias="GATEWAY_ADDRESS")
    """`host:port`, HTTP/1.1; several, separated by commas, share the calls."""
    files_dir: Path
    """Where the files are laid ready that browsers load; made again when they are not there."""
    session_seconds: int = Field(120, ge=1)
    """How long a session waits for a visitor whose connection broke; one takes 0.4 MB."""
