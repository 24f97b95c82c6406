"""Tasks that ended without a picture, and nobody was there."""

import asyncio

from state.unpainted import Unpainted
from tests.app.clients import SLOW, a_key, a_recipe, ended, somebody
from tests.tcp_proxy import TcpProxy


def test_what_ended_without_a_picture_is_told_at_the_next_visit(installation):
    async def story() -> None:
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with somebody(f"http://{network.address}") as client:
                await ended(client, await client.generate(a_recipe("a teapot"), a_key()))
                slow = await client.generate(a_recipe("a lighthouse", **SLOW), a_key())
                await client.cancel(slow.id)
                await ended(client, slow)
                unpainted = Unpainted(client)
                network.drop()
                await unpainted.load_more()
                assert (unpainted.tasks, unpainted.complaint.code) == ([], "offline")
                network.pass_on()
                await unpainted.load_more()
                assert unpainted.complaint is None
                assert [(task.prompt, task.status) for task in unpainted.tasks] == [("a lighthouse", "canceled")]

    asyncio.run(asyncio.wait_for(story(), 60))


def test_more_of_them_come_page_by_page(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            for _ in range(3):
                task = await client.generate(a_recipe(**SLOW), a_key())
                await client.cancel(task.id)
                await ended(client, task)
            unpainted = Unpainted(client)
            await unpainted.load_more()
            everything, unpainted.tasks = unpainted.tasks, []
            assert len(everything) == 3
            assert unpainted.cursor is None
            first = await client.history("failed", "canceled", limit=2)
            unpainted.tasks, unpainted.cursor = first.tasks, first.next_cursor
            await unpainted.load_more()
            assert unpainted.tasks == everything

    asyncio.run(asyncio.wait_for(story(), 60))
