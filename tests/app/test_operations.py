"""The machines as an operator sees them."""

import asyncio
from contextlib import asynccontextmanager

import httpx

from api.client import Client
from api.connection import Connection
from api.operations import MissingModel
from api.resources import Tokens
from state.operations import Operations
from tests.accounts import an_operator
from tests.app.clients import Memory, somebody


@asynccontextmanager
async def operating(installation):
    tokens = an_operator(installation).tokens
    async with httpx.AsyncClient(base_url=installation.url) as http:
        connection = Connection(http, Memory(Tokens(tokens["access_token"], tokens["refresh_token"])))
        await connection.restore()
        yield Operations(Client(connection))


def test_an_operator_sees_workers_and_queues_and_has_one_drained_and_resumed(installation):
    async def story() -> None:
        async with operating(installation) as operations:
            await operations.load()
            (worker,) = operations.workers
            assert worker.state in ("idle", "busy")
            assert {queue.model for queue in operations.queues} <= set(worker.models)
            assert operations.having("sd15") == 1
            try:
                await operations.drain(worker.engine_id)
                assert operations.workers[0].state in ("draining", "drained")
            finally:
                await operations.resume(worker.engine_id)
            assert operations.workers[0].state in ("idle", "busy")
            assert operations.complaint is None
            assert operations.ordered == ""

    asyncio.run(story())


def test_what_a_model_lacks_is_told_only_while_no_worker_has_it(installation):
    async def story() -> None:
        async with operating(installation) as operations:
            await operations.load()
            (worker,) = operations.workers
            lacking = vars(worker) | {
                "models": [],
                "missing_models": [MissingModel("sd15", ["vae/b.safetensors", "checkpoints/a.safetensors"])],
            }
            operations.workers = [type(worker)(**lacking)]
            assert operations.lacking("sd15") == ["checkpoints/a.safetensors", "vae/b.safetensors"]
            operations.workers = [type(worker)(**lacking), worker]
            assert operations.lacking("sd15") == []

    asyncio.run(story())


def test_somebody_else_is_told_that_this_is_for_operators(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            operations = Operations(client)
            await operations.load()
            assert operations.complaint.code == "caller_not_allowed"
            assert operations.workers is None
            await operations.drain("01981f5e-7c1a-7d2b-9a63-3f0c8e5b4d21")
            assert operations.complaint.code == "caller_not_allowed"

    asyncio.run(story())


def test_it_is_looked_at_anew_as_long_as_somebody_looks(installation):
    async def story() -> None:
        async with operating(installation) as operations:
            looks, seen = [], asyncio.Event()

            def note(_: object, name: str | None) -> None:
                if name == "workers":
                    looks.append(operations.workers)
                    if len(looks) > 1:
                        seen.set()

            operations.subscribe(note)
            operations.watch()
            await asyncio.wait_for(seen.wait(), 30)
            operations.rest()

    asyncio.run(story())
