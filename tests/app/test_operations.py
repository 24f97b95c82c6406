"""The machines as an operator sees them."""

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from api.client import Client
from api.connection import Connection
from api.operations import MissingModel
from api.resources import Tokens
from state.operations import Operations
from tests.accounts import an_operator
from tests.app.clients import Memory, somebody
from tests.tcp_proxy import TcpProxy

NOBODY = "01981f5e-7c1a-4d2b-9a63-3f0c8e5b4d21"


@pytest.fixture(scope="module")
def tokens(installation):
    """An operator's."""
    kept = an_operator(installation).tokens
    return Tokens(kept["access_token"], kept["refresh_token"])


@asynccontextmanager
async def operating(url, tokens, hooks=None, **properties):
    """`hooks` are httpx's."""
    async with httpx.AsyncClient(base_url=url, event_hooks=hooks) as http:
        connection = Connection(http, Memory(tokens))
        await connection.restore()
        yield Operations(Client(connection), **properties)


def run(story):
    asyncio.run(asyncio.wait_for(story(), 60))


def test_an_operator_sees_workers_and_queues_and_has_one_drained_and_resumed(installation, tokens):
    async def story() -> None:
        async with operating(installation.url, tokens) as operations:
            await operations.load()
            (worker,) = operations.workers
            assert worker.state in ("idle", "busy")
            assert {queue.model for queue in operations.queues} <= set(worker.models)
            assert operations.having("sd15") == 1
            assert operations.looked_at is not None
            try:
                await operations.drain(worker.engine_id)
                assert operations.workers[0].state in ("draining", "drained")
            finally:
                await operations.resume(worker.engine_id)
            assert operations.workers[0].state in ("idle", "busy")
            assert (operations.refusal, operations.ordered) == (None, "")

    run(story)


def test_a_look_that_began_before_an_order_does_not_hide_what_the_order_has_done(installation, tokens):
    async def story() -> None:
        told, ordered = asyncio.Event(), asyncio.Event()

        async def hold(request: httpx.Request) -> None:
            if request.url.path.endswith("/queues"):
                await ordered.wait()

        async def note(response: httpx.Response) -> None:
            if response.url.path.endswith("/workers"):
                told.set()

        hooks = {"request": [hold], "response": [note]}
        async with operating(installation.url, tokens, hooks) as operations:
            ordered.set()
            await operations.load()
            (worker,) = operations.workers
            ordered.clear()
            told.clear()
            try:
                looking = asyncio.create_task(operations.load())
                await told.wait()
                await operations.drain(worker.engine_id)
                ordered.set()
                await looking
                assert operations.queues is not None
                assert operations.workers[0].state in ("draining", "drained")
            finally:
                await operations.resume(worker.engine_id)

    run(story)


def test_what_a_model_lacks_is_told_while_no_worker_that_is_there_has_it(installation, tokens):
    async def story() -> None:
        async with operating(installation.url, tokens) as operations:
            await operations.load()
            (worker,) = operations.workers
            two = [MissingModel("sd15", ["vae/b.safetensors", "checkpoints/a.safetensors"])]
            one = [MissingModel("sd15", ["vae/b.safetensors"])]
            without = replace(worker, models=[], missing_models=two)
            operations.workers = [without]
            assert operations.lacking("sd15") == ["checkpoints/a.safetensors", "vae/b.safetensors"]
            operations.workers = [without, replace(without, missing_models=one)]
            assert operations.lacking("sd15") == ["vae/b.safetensors"]
            operations.workers = [without, worker]
            assert operations.lacking("sd15") == []
            operations.workers = [without, replace(worker, state="away")]
            assert (operations.having("sd15"), len(operations.lacking("sd15"))) == (0, 2)

    run(story)


def test_somebody_else_is_told_that_this_is_for_operators_and_asks_no_more(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            operations = Operations(client, seconds=0.01)
            operations.watch()
            await _until(operations, lambda: operations.complaint is not None)
            assert operations.complaint.code == "caller_not_allowed"
            assert operations.is_forbidden
            assert operations.workers is None
            await operations.drain(NOBODY)
            assert operations.refusal.code == "caller_not_allowed"

    run(story)


def test_a_worker_that_has_gone_is_said(installation, tokens):
    async def story() -> None:
        async with operating(installation.url, tokens) as operations:
            await operations.load()
            await operations.drain(NOBODY)
            assert operations.refusal.code == "worker_not_found"
            assert len(operations.workers) == 1

    run(story)


def test_what_was_seen_stays_while_the_server_cannot_be_reached(installation, tokens):
    async def story() -> None:
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with operating(f"http://{network.address}", tokens) as operations:
                await operations.load()
                network.drop()
                await operations.load()
                assert operations.complaint.code == "offline"
                assert len(operations.workers) == 1
                network.pass_on()
                await operations.load()
                assert operations.complaint is None

    run(story)


def test_it_is_looked_at_anew_until_nobody_looks(installation, tokens):
    async def story() -> None:
        asked = deque()

        async def note(request: httpx.Request) -> None:
            asked.append(request.url.path)

        hooks = {"request": [note]}
        async with operating(installation.url, tokens, hooks, seconds=0.01) as operations:
            operations.watch()
            operations.watch()  # whoever comes back looks once
            looks = set()
            await _until(operations, lambda: looks.add(operations.looked_at) or len(looks) > 3)
            assert set(asked) == {"/api/v1/admin/workers", "/api/v1/admin/queues"}
            operations.forget()
            assert operations.workers is None
            asked.clear()
            await operations.client.models()
            await operations.client.models()
            assert set(asked) == {"/api/v1/models"}

    run(story)


async def _until(operations, holds) -> None:
    changed = asyncio.Event()
    end = operations.subscribe(lambda *_: changed.set())
    while not holds():
        await changed.wait()
        changed.clear()
    end()
