"""The environment of the executor's two processes."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServerSettings(BaseSettings):
    """The gRPC server."""

    model_config = SettingsConfigDict(env_prefix="EXECUTOR_")

    database_url: str
    listen: str
    auth_address: str = Field(validation_alias="AUTH_ADDRESS")
    redis_url: str = Field(validation_alias="REDIS_URL")
    models_dir: Path = Path(__file__).parent / "models"


class LeaseSettings(BaseSettings):
    """How long a worker may be silent. Server and workers must agree."""

    model_config = SettingsConfigDict(env_prefix="EXECUTOR_")

    lease_seconds: float = 10.0
    """Ten renewals long; a worker that misses them all is dead or cut off."""
    grace_seconds: float = 20.0
    """How long an expired lease waits for a worker of the same engine: a container restart takes about ten."""
    max_attempts: int = 4
    """A poison job takes down at most this many runs."""

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

    @property
    def grace(self) -> timedelta:
        return timedelta(seconds=self.grace_seconds)


class WorkerSettings(BaseSettings):
    """A worker, bound to one ComfyUI."""

    model_config = SettingsConfigDict(env_prefix="EXECUTOR_")

    database_url: str
    engine_id: UUID
    """Stays the same when the worker restarts beside the same engine (the pod's UID)."""
    redis_url: str = Field(validation_alias="REDIS_URL")
    results_address: str = Field(validation_alias="RESULTS_ADDRESS")
    comfyui_url: str = Field(validation_alias="COMFYUI_URL")
    comfyui_output_dir: Path | None = Field(default=None, validation_alias="COMFYUI_OUTPUT_DIR")
    """ComfyUI's output folder, if this process can reach it: it is cleaned after each job."""
    models_dir: Path = Path(__file__).parent / "models"
    run_limit_seconds: float = 1800.0
    """A run that takes longer has failed: sixty times the slowest preset on a slow card."""
    stop_grace_seconds: float = 5.0
    """After SIGTERM a run may finish for this long; then the job is given back."""
    ready_file: Path | None = None
    """Touched once the worker can take jobs."""
