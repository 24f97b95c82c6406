"""The machines, for operators: looked at anew as long as somebody looks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import flet as ft

from api.client import Client
from api.operations import Queue, Worker
from api.problems import ApiError
from state.complaints import Complaint

REFRESH_SECONDS = 4.0

FORBIDDEN = "caller_not_allowed"


@dataclass(eq=False)
class Operations(ft.Observable):
    """Attributes:
    seconds: between two looks.
    workers, queues: None: not told yet.
    looked_at: when they were told; the server's time.
    complaint: why the last look did not succeed; what an earlier one has told stays.
    refusal: why the last order was not taken.
    ordered: id of the engine whose worker is being told something; empty: none.
    """

    client: Client
    seconds: float = REFRESH_SECONDS
    workers: list[Worker] | None = None
    queues: list[Queue] | None = None
    looked_at: datetime | None = None
    complaint: Complaint | None = None
    refusal: Complaint | None = None
    ordered: str = ""
    _orders: int = field(default=0, init=False, repr=False)
    _watching: asyncio.Task[None] | None = field(default=None, init=False, repr=False)

    @property
    def is_forbidden(self) -> bool:
        return self.complaint is not None and self.complaint.code == FORBIDDEN

    def watch(self) -> None:
        """Until `rest`, or until the server says that this is not for the caller."""
        self.rest()
        self._watching = asyncio.create_task(self._watch())

    def rest(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None

    def forget(self) -> None:
        self.rest()
        self.workers, self.queues, self.looked_at, self.complaint, self.refusal = None, None, None, None, None

    async def load(self) -> None:
        orders = self._orders
        try:
            workers, queues = await asyncio.gather(self.client.operations.workers(), self.client.operations.queues())
        except ApiError as error:
            self.complaint = Complaint.about(error)
            return
        if orders == self._orders:  # else an order's answer is newer
            self.workers = workers
        self.queues, self.looked_at, self.complaint = queues, self.client.connection.now(), None

    async def drain(self, engine_id: str) -> None:
        await self._order(engine_id, self.client.operations.drain)

    async def resume(self, engine_id: str) -> None:
        await self._order(engine_id, self.client.operations.resume)

    def having(self, model: str) -> int:
        """How many workers that are there can paint with it."""
        return sum(model in worker.models for worker in self._present())

    def lacking(self, model: str) -> list[str]:
        """What is to be copied to the worker that lacks least, before anybody can paint with it; nothing if one can."""
        lists = [each.files for worker in self._present() for each in worker.missing_models if each.name == model]
        fewest: list[str] = min(lists, key=len, default=[])
        return [] if self.having(model) else sorted(fewest)

    def _present(self) -> list[Worker]:
        return [worker for worker in self.workers or () if worker.state != "away"]

    async def _watch(self) -> None:
        while not self.is_forbidden:
            await self.load()
            await asyncio.sleep(self.seconds)

    async def _order(self, engine_id: str, order: Callable[[str], Awaitable[Worker]]) -> None:
        if self.ordered:
            return
        self.ordered, self.refusal = engine_id, None
        try:
            told = await order(engine_id)
        except ApiError as error:
            self.refusal = Complaint.about(error)
        else:
            self._orders += 1
            self.workers = [told if worker.engine_id == engine_id else worker for worker in self.workers or ()]
        finally:
            self.ordered = ""
