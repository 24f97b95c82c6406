"""The machines, for operators: looked at anew as long as somebody looks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import flet as ft

from api.client import Client
from api.operations import Queue, Worker
from api.problems import ApiError
from state.complaints import Complaint

REFRESH_SECONDS = 3.0


@dataclass(eq=False)
class Operations(ft.Observable):
    """Attributes:
    workers, queues: None until they are known.
    complaint: why the last look, or the last order, failed.
    ordered: id of the engine whose worker is being told something; empty: none.
    """

    client: Client
    workers: list[Worker] | None = None
    queues: list[Queue] | None = None
    complaint: Complaint | None = None
    ordered: str = ""
    _watching: asyncio.Task[None] | None = field(default=None, init=False, repr=False)

    def watch(self) -> None:
        """Looks again and again, until `rest`."""
        self.rest()
        self._watching = asyncio.create_task(self._watch())

    def rest(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    def forget(self) -> None:
        self.rest()
        self.workers, self.queues, self.complaint = None, None, None

    async def _watch(self) -> None:
        while True:
            await self.load()
            await asyncio.sleep(REFRESH_SECONDS)

    async def load(self) -> None:
        try:
            workers, queues = await asyncio.gather(self.client.operations.workers(), self.client.operations.queues())
        except ApiError as error:
            self.complaint = Complaint.about(error)
            return
        self.workers, self.queues, self.complaint = workers, queues, None

    async def drain(self, engine_id: str) -> None:
        await self._order(engine_id, self.client.operations.drain)

    async def resume(self, engine_id: str) -> None:
        await self._order(engine_id, self.client.operations.resume)

    async def _order(self, engine_id: str, order: Callable[[str], Awaitable[Worker]]) -> None:
        self.ordered, self.complaint = engine_id, None
        try:
            told = await order(engine_id)
        except ApiError as error:
            self.complaint = Complaint.about(error)
        else:
            self.workers = [told if worker.engine_id == engine_id else worker for worker in self.workers or []]
        finally:
            self.ordered = ""

    def having(self, model: str) -> int:
        """How many workers can paint with it."""
        return sum(model in worker.models for worker in self.workers or [])

    def lacking(self, model: str) -> list[str]:
        """Files that keep every worker from painting with it; none if one can."""
        if self.having(model):
            return []
        files = {
            file
            for worker in self.workers or []
            for missing in worker.missing_models
            if missing.name == model
            for file in missing.files
        }
        return sorted(files)
