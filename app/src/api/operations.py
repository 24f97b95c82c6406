"""What operators see of the machines, and what they can tell them."""

from dataclasses import dataclass
from datetime import datetime

from api.connection import Connection
from api.decoding import decode

ADMIN = "/api/v1/admin"


@dataclass(frozen=True)
class MissingModel:
    """A model that an engine cannot paint with.

    Attributes:
        files: which it lacks: `folder/file` below ComfyUI's models directory.
    """

    name: str
    files: list[str]


@dataclass(frozen=True)
class Worker:
    """One process bound to one engine, as it last reported itself.

    Attributes:
        state: idle, busy, draining, drained, quarantined, unwell or away.
        problem: why it is unwell or in quarantine.
        models: those that its engine has every file of.
        vram_total, vram_free: bytes.
        job_ids: of the tasks that it holds.
    """

    engine_id: str
    state: str
    problem: str | None
    models: list[str]
    missing_models: list[MissingModel]
    loaded_model: str | None
    engine_version: str
    device: str
    vram_total: int
    vram_free: int
    job_ids: list[str]
    reported_at: datetime
    quarantined_until: datetime | None


@dataclass(frozen=True)
class Queue:
    """The unfinished work for one model.

    Attributes:
        backlog_seconds: what the waiting jobs will probably take, of one GPU.
        oldest_wait_seconds: None if none waits.
    """

    model: str
    waiting_jobs: int
    running_jobs: int
    backlog_seconds: float
    oldest_wait_seconds: float | None


class Operations:
    """For operators. Every method may raise what `Connection.call` does."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def workers(self) -> list[Worker]:
        return decode(list[Worker], (await self._connection.call("GET", f"{ADMIN}/workers"))["workers"])

    async def queues(self) -> list[Queue]:
        return decode(list[Queue], (await self._connection.call("GET", f"{ADMIN}/queues"))["queues"])

    async def drain(self, engine_id: str) -> Worker:
        """It finishes what it holds and takes nothing more."""
        return decode(Worker, await self._connection.call("POST", f"{ADMIN}/workers/{engine_id}/drain"))

    async def resume(self, engine_id: str) -> Worker:
        """It takes jobs again; its quarantine ends."""
        return decode(Worker, await self._connection.call("POST", f"{ADMIN}/workers/{engine_id}/resume"))
