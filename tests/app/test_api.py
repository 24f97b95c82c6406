"""The client's API layer against the real gateway, through Envoy."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import httpx
import pytest

from api.client import Client
from api.connection import Connection
from api.events import CaughtUp, Changed, Lost, Missed, Previewed, Progressed
from api.problems import Problem, Unreachable
from api.resources import Progress, Tokens
from tests.app.clients import PASSWORD, SLOW, Memory, a_key, a_recipe, events_of, expired, somebody, tab
from tests.tcp_proxy import TcpProxy


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_person_registers_signs_in_and_signs_out(installation):
    async def story() -> None:
        memory = Memory()
        async with somebody(installation.url, memory) as client:
            assert (await client.me()).email.endswith("@example.com")
            kept = memory.tokens
            await client.logout()
            assert memory.tokens is None
            await client.connection.keep(expired(kept))
            with pytest.raises(Problem) as refusal:
                await client.me()
            assert refusal.value.status == 401
            assert memory.tokens is None

    run(story)


def test_a_refusal_tells_which_field_is_wrong(installation):
    async def story() -> None:
        async with tab(installation.url) as client:
            with pytest.raises(Problem) as refusal:
                await client.register("lin", "not an address", "short")
        problem = refusal.value
        assert (problem.status, problem.code) == (422, "invalid_field")
        assert set(problem.fields) == {"email", "password"}
        assert all(problem.fields.values())
        assert problem.request_id

    run(story)


def test_many_calls_that_meet_an_expired_token_renew_it_once(installation):
    async def story() -> None:
        memory = Memory()
        async with somebody(installation.url, memory) as client:
            await client.connection.keep(expired(memory.tokens))
            memory.saved.clear()
            people = await asyncio.gather(*(client.me() for _ in range(8)))
            assert len({person.id for person in people}) == 1
            assert len(memory.saved) == 1

    run(story)


def test_a_tab_takes_the_tokens_that_another_tab_has_renewed(installation):
    async def story() -> None:
        memory = Memory()
        async with somebody(installation.url, memory) as first, tab(installation.url, memory) as second:
            stale = expired(memory.tokens)
            await first.connection.keep(stale)
            await second.connection.restore()
            await second.me()
            memory.saved.clear()
            await first.me()
            assert memory.saved == []
            assert first.connection.tokens == second.connection.tokens

    run(story)


def test_a_tab_does_not_become_somebody_else_who_signed_in_in_another(installation):
    async def story() -> None:
        memory = Memory()
        async with somebody(installation.url, memory) as here:
            told = []
            here.connection.when_signed_out = lambda: told.append(True)
            await here.connection.keep(expired(memory.tokens))
            async with somebody(installation.url, memory):
                theirs = memory.tokens
                with pytest.raises(Problem) as refusal:
                    await here.me()
            assert refusal.value.status == 401
            assert told == [True]
            assert here.connection.tokens is None
            assert memory.tokens == theirs

    run(story)


@pytest.mark.parametrize("kept", ["nonsense", "a.b.c", "a.W10.c", "a.e30.c"])
def test_whoever_has_kept_nonsense_is_signed_out(installation, kept):
    async def story() -> None:
        memory = Memory(Tokens(kept, "nonsense"))
        async with tab(installation.url, memory) as client:
            told = []
            client.connection.when_signed_out = lambda: told.append(True)
            with pytest.raises(Problem) as refusal:
                await client.me()
        assert refusal.value.status == 401
        assert told == [True]
        assert memory.tokens is None

    run(story)


def test_a_session_that_was_ended_elsewhere_is_told(installation):
    async def story() -> None:
        memory = Memory()
        async with somebody(installation.url, memory) as here, tab(installation.url, memory) as there:
            told = []
            here.connection.when_signed_out = lambda: told.append(True)
            kept = memory.tokens
            await there.logout()
            await here.connection.keep(expired(kept))
            with pytest.raises(Problem):
                await here.me()
            assert told == [True]
            assert memory.tokens is None

    run(story)


def test_models_come_with_names_in_both_languages(installation):
    async def story() -> None:
        async with tab(installation.url) as client:
            models = {model.name: model for model in await client.models()}
        assert models["sd15"].available
        assert models["sd15"].display_names.en
        assert models["sd15"].display_names.said_in("zh")
        assert models["sd15"].limits.steps.min >= 1

    run(story)


def test_a_prompt_is_completed(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            found = await client.suggestions("a light")
            assert found
            assert all(suggestion.text for suggestion in found)

    run(story)


def test_a_task_is_followed_to_its_picture(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            task = await client.generate(a_recipe(**SLOW), a_key())
            assert not task.has_ended
            events = [event async for event in events_of(client, task.id)]
            last = events[-1]
            assert isinstance(last, Changed)
            assert last.task.status == "completed"
            assert any(isinstance(event, Progressed) for event in events)
            assert any(isinstance(event, Previewed) and event.image for event in events)
            (result,) = last.task.results
            assert (await client.pictures.get(result.id)).image_url.startswith(installation.url)
            history = await client.history("completed")
            assert [each.id for each in history.tasks] == [task.id]
            assert history.next_cursor is None
            await client.pictures.delete([result.id])
            with pytest.raises(Problem) as refusal:
                await client.pictures.get(result.id)
            assert refusal.value.code == "result_not_found"

    run(story)


def test_the_history_comes_in_pages(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            made = [(await client.generate(a_recipe(), a_key())).id for _ in range(3)]
            first = await client.history(limit=2)
            second = await client.history(limit=2, cursor=first.next_cursor)
            assert [task.id for task in (*first.tasks, *second.tasks)] == made[::-1]
            assert second.next_cursor is None

    run(story)


def test_asking_again_with_the_same_key_makes_no_second_task(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            key = a_key()
            first = await client.generate(a_recipe(), key)
            assert (await client.generate(a_recipe(), key)).id == first.id
            assert len((await client.history()).tasks) == 1

    run(story)


def test_the_end_of_a_canceled_task_is_told(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            task = await client.generate(a_recipe(**SLOW), a_key())
            await client.cancel(task.id)
            last = [event async for event in events_of(client, task.id)][-1]
            assert isinstance(last, Changed)
            assert last.task.status == "canceled"

    run(story)


def test_a_stream_survives_a_lost_network_and_an_expired_token(installation):
    async def story() -> None:
        memory = Memory()
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with somebody(f"http://{network.address}", memory) as client:
                task = await client.generate(a_recipe(**SLOW), a_key())
                seen = []
                is_cut = False
                async for event in events_of(client, task.id):
                    if not is_cut and any(isinstance(each, CaughtUp) for each in seen):
                        await client.connection.keep(expired(client.connection.tokens))
                        network.drop()
                        is_cut = True
                    seen.append(event)
                    if isinstance(event, Lost):
                        network.pass_on()
                assert any(isinstance(event, Lost) for event in seen)
                assert isinstance(seen[-1], Changed)
                assert seen[-1].task.status == "completed"

    run(story)


def test_a_keep_alive_after_an_event_is_no_event():
    sent = [
        b"event: caught_up\ndata: {}\nid: 1\n\n",
        b": keep-alive\n\n",
        b'event: progress\ndata: {"task_id": "7", "step": 2, "steps": 4}\n\n',
    ]

    async def content() -> AsyncIterator[bytes]:
        for piece in sent:
            yield piece
        await asyncio.Event().wait()

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=content())

    async def story() -> None:
        async with httpx.AsyncClient(base_url="http://gateway", transport=httpx.MockTransport(answer)) as http:
            events = Client(Connection(http, Memory())).events()
            told = [await anext(events) for _ in range(3)]
            await events.aclose()
        assert told == [Missed(), CaughtUp(), Progressed("7", Progress(2, 4))]

    run(story)


def test_nobody_at_the_other_end_is_an_error_of_its_own(installation):
    async def story() -> None:
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with somebody(f"http://{network.address}") as client:
                network.drop()
                with pytest.raises(Unreachable):
                    await client.me()

    run(story)


def test_what_the_gateway_says_about_a_recipe_names_its_field(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            with pytest.raises(Problem) as refusal:
                await client.generate(replace(a_recipe(), steps=10_000), a_key())
            assert refusal.value.code == "parameter_out_of_range"
            assert "steps" in refusal.value.fields
            with pytest.raises(Problem) as refusal:
                await client.login("nobody", PASSWORD)
            assert refusal.value.code == "bad_credentials"

    run(story)


@pytest.mark.parametrize("date", ["Sat, 28 Nov 2026 07:00:00 -0000", "yesterday", ""])
def test_a_date_that_tells_no_time_spoils_no_answer(date):
    async def story() -> None:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, headers={"date": date}, json={"models": []}))
        async with httpx.AsyncClient(base_url="http://gateway", transport=transport) as http:
            assert await Client(Connection(http, Memory())).models() == []

    run(story)
