"""The environment of the executor's two processes."""

from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MODELS = Path(__file__).parent / "models"


class Pools:
    """The models that a pool of workers can serve which may have no worker now: the operator's declaration."""

    def __init__(self, text: str) -> None:
        """From names separated by commas; `*` is every model."""
        self._names = {name.strip() for name in text.split(",")} - {""}

    def among(self, models: Collection[str]) -> Collection[str]:
        """Those of these models that a pool can serve."""
        return models if "*" in self._names else self._names.intersection(models)


class ServerSettings(BaseSettings):
    """The gRPC server."""

    model_config = SettingsConfigDict(env_prefix="EXECUTOR_", hide_input_in_errors=True)

    database_url: str
    listen: str
    auth_address: str = Field(validation_alias="AUTH_ADDRESS")
    redis_url: str = Field(validation_alias="REDIS_URL")
    models_dir: Path = MODELS
    pool_models: str = ""
    """Models, separated by commas, that an autoscaler starts a worker for when one is asked for; `*` is every one."""


class QueueSettings(BaseSettings):
    """How jobs are held. Server and workers must agree."""

    model_config = SettingsConfigDict(env_prefix="EXECUTOR_", hide_input_in_errors=True)

    lease_seconds: float = 10.0
    """Ten renewals long; a worker that misses them all is dead or cut off."""
    grace_seconds: float = 20.0
    """How long an expired lease waits for a worker of the same engine: a container restart takes about ten."""
    max_attempts: int = 4
    """A poison job takes down at most this many runs."""
    running_cap: int | None = Field(default=None, gt=0)
    """Most jobs of one owner that workers hold at once, unless the owner has a cap of its own. None: fair share
    alone decides, and one person may have every GPU that nobody else wants."""

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

    @property
    def grace(self) -> timedelta:
        return timedelta(seconds=self.grace_seconds)


class WorkerSettings(BaseSettings):
    """A worker, bound to one ComfyUI."""

    model_config = SettingsConfigDict(env_prefix="EXECUTOR_", hide_input_in_errors=True)

    database_url: str
    engine_id: UUID
    """Stays the same when the worker restarts beside the same engine (the pod's UID)."""
    redis_url: str = Field(validation_alias="REDIS_URL")
    results_address: str = Field(validation_alias="RESULTS_ADDRESS")
    comfyui_url: str = Field(validation_alias="COMFYUI_URL")
    comfyui_output_dir: Path | None = Field(default=None, validation_alias="COMFYUI_OUTPUT_DIR")
    """ComfyUI's output folder, if this process can reach it: it is cleaned after each job."""
    models_dir: Path = MODELS
    stall_seconds: float = 600.0
    """An engine that answers and whose run has not moved for so long counts as dead: longer than any load takes."""
    liveness_listen: str = ""
    """`host:port` where GET /engine and GET /worker tell a liveness probe whether to restart them; empty: nowhere."""
    run_limit_seconds: float = 1800.0
    """A run that takes longer has failed: sixty times the slowest preset on a slow card."""
    stop_grace_seconds: float = 5.0
    """After SIGTERM a run may finish for this long; then the job is given back."""
    ready_file: Path | None = None
    """Touched once the worker can take jobs."""
