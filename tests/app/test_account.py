"""What a person does with the own account, on the real gateway and without a browser."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from api.client import Client
from api.problems import Problem
from state.account import Account
from state.api_keys import ApiKeys, KeyDraft
from state.leaving import Deletion, Export
from state.password import PasswordChange
from state.preferences import Preferences
from state.saving import Saver
from state.session import Session
from state.sign_ins import SignIns
from state.storage_use import StorageUsed
from tests.app.clients import PASSWORD, Memory, a_key, a_recipe, ended, expired, somebody, tab
from tests.tcp_proxy import TcpProxy
from texts import WORDS
from views.account.password import faults

NEW_PASSWORD = "staple of the battery"
ANSWER_BYTES = 20
"""Of a response that breaks off: the request was carried out, and nobody hears of it."""


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


async def no_file(name: str, content: bytes) -> None:
    raise AssertionError(f"{name} was not asked for")


@asynccontextmanager
async def elsewhere(url: str, client: Client, memory: Memory | None = None) -> AsyncIterator[Session]:
    """The same person in another browser, signed in."""
    async with tab(url, memory) as other:
        session = Session(other, Preferences(Memory()), no_file)
        await session.login((await client.me()).username, PASSWORD)
        assert session.account.phase == "member"
        yield session


async def is_signed_out(session: Session) -> None:
    """It counts everywhere within a second; until then a deleted account is one that is not found."""
    while session.account.phase == "member":
        try:
            await session.client.me()
        except Problem as problem:
            assert problem.status in {401, 404}


def test_a_session_that_is_ended_is_signed_out_in_its_browser_and_told_why(installation):
    async def story() -> None:
        memory = Memory()
        async with (
            somebody(installation.url) as client,
            elsewhere(installation.url, client, memory) as ended,
            elsewhere(installation.url, client) as kept,
        ):
            sign_ins = SignIns(client)
            await sign_ins.load()
            assert len(sign_ins.others) == 2
            newest, doomed = sign_ins.others
            await sign_ins.end(doomed)
            assert sign_ins.others == [newest]
            await is_signed_out(ended)
            assert ended.account.farewell == "ended"
            assert memory.tokens is None
            assert (await kept.client.me()).id == (await client.me()).id

    run(story)


def test_all_others_are_ended_also_those_that_the_list_does_not_show_yet(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            sign_ins = SignIns(client)
            await sign_ins.load()
            async with elsewhere(installation.url, client) as first, elsewhere(installation.url, client) as second:
                await sign_ins.end_others()
                assert sign_ins.complaint is None
                await is_signed_out(first)
                await is_signed_out(second)
                (here,) = await client.sign_ins.all()
                assert here.is_current
                assert sign_ins.known == [here]

    run(story)


def test_a_session_that_has_ended_by_itself_is_no_trouble(installation):
    async def story() -> None:
        async with somebody(installation.url) as client, elsewhere(installation.url, client) as other:
            sign_ins = SignIns(client)
            await sign_ins.load()
            await other.logout()
            assert other.account.farewell is None
            await sign_ins.end(*sign_ins.others)
            assert sign_ins.complaint is None
            assert sign_ins.others == []

    run(story)


def test_without_a_network_the_list_stays_and_says_so(installation):
    async def story() -> None:
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            url = f"http://{network.address}"
            async with somebody(url) as client, elsewhere(url, client):
                sign_ins = SignIns(client)
                await sign_ins.load()
                known = sign_ins.known
                network.drop()
                await sign_ins.end_others()
                assert sign_ins.complaint.code == "offline"
                assert sign_ins.known == known
                assert not sign_ins.is_busy

    run(story)


def test_a_new_password_counts_and_signs_the_others_out(installation):
    async def story() -> None:
        async with somebody(installation.url) as client, elsewhere(installation.url, client) as other:
            name = (await client.me()).username
            change = PasswordChange(client)
            assert await change.change(PASSWORD, NEW_PASSWORD)
            assert change.is_done
            await is_signed_out(other)
            assert (await client.me()).username == name
            async with tab(installation.url) as visit:
                await visit.login(name, NEW_PASSWORD)
                with pytest.raises(Problem):
                    await visit.login(name, PASSWORD)

    run(story)


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [
        ("not my password", NEW_PASSWORD, "current_password"),
        (PASSWORD, "short", "new_password"),
        (PASSWORD, "password123", "new_password"),
    ],
)
def test_a_wrong_password_stands_at_its_field_and_changes_nothing(installation, current, new, field):
    async def story() -> None:
        async with somebody(installation.url) as client:
            change = PasswordChange(client)
            assert not await change.change(current, new)
            for say in WORDS.values():
                assert list(faults(change, frozenset(), say)) == [field]
            await client.login((await client.me()).username, PASSWORD)

    run(story)


def test_a_change_of_the_password_whose_answer_was_lost_is_said_to_be_unsure(installation):
    async def story() -> None:
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with somebody(f"http://{network.address}") as client:
                change = PasswordChange(client)
                network.truncate(ANSWER_BYTES)
                assert not await change.change(PASSWORD, NEW_PASSWORD)
                assert change.is_unsure
                network.pass_on()
                assert not await change.change(PASSWORD, NEW_PASSWORD)
                assert change.complaint.code == "wrong_password"
                assert change.is_unsure
                assert await change.change(NEW_PASSWORD, PASSWORD)
                assert not change.is_unsure

    run(story)


def test_a_key_is_shown_once_and_works_until_it_is_revoked(installation):
    async def story() -> None:
        async with somebody(installation.url) as client, httpx.AsyncClient(base_url=installation.url) as program:
            draft, keys = KeyDraft(client), ApiKeys(client)
            draft.name = "nightly job"
            draft.choose("read", is_chosen=False)
            draft.choose("share", is_chosen=True)
            draft.choose("read", is_chosen=True)
            assert draft.scopes == ["generate", "read", "share"]
            assert await draft.submit()
            headers = {"Authorization": f"Bearer {draft.made.key}"}
            assert (await program.get("/api/v1/auth/me", headers=headers)).is_success
            draft.take()
            assert draft.made is None

            await keys.load()
            (key,) = keys.known
            now = client.connection.now()
            assert (key.name, key.scopes, key.counts(now)) == ("nightly job", ["generate", "read", "share"], True)
            assert 89 <= (key.expires_at - now).days <= 90
            await keys.revoke(key)
            assert not keys.known[0].counts(now)
            while (answer := await program.get("/api/v1/auth/me", headers=headers)).is_success:
                pass
            assert answer.status_code == 401

    run(story)


def test_a_key_whose_secret_got_lost_is_replaced_by_one_that_the_person_has(installation):
    async def story() -> None:
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with somebody(f"http://{network.address}") as client:
                draft = KeyDraft(client)
                draft.name, draft.life = "nightly job", "endless"
                network.truncate(ANSWER_BYTES)
                assert not await draft.submit()
                assert draft.complaint.code == "offline"
                network.pass_on()
                assert await draft.submit()
                assert draft.made.key
                now = client.connection.now()
                assert [key.id for key in await client.api_keys.all() if key.counts(now)] == [draft.made.id]

    run(story)


def test_another_key_may_be_asked_for_after_a_lost_answer(installation):
    async def story() -> None:
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with somebody(f"http://{network.address}") as client:
                draft = KeyDraft(client)
                draft.name = "nightly job"
                network.truncate(ANSWER_BYTES)
                assert not await draft.submit()
                network.pass_on()
                draft.name = "daily job"
                assert await draft.submit()
                assert (draft.made.name, draft.complaint) == ("daily job", None)

    run(story)


def test_a_key_that_breaks_a_rule_is_not_made_and_its_field_is_named(installation):
    async def story() -> None:
        async with somebody(installation.url) as client:
            draft = KeyDraft(client)
            draft.name = "x" * 65
            assert not await draft.submit()
            assert set(draft.complaint.fields) == {"name"}
            assert await client.api_keys.all() == []

    run(story)


def test_a_deleted_account_cannot_sign_in(installation):
    async def story() -> None:
        memory = Memory()
        async with somebody(installation.url, memory) as client, elsewhere(installation.url, client) as other:
            name = (await client.me()).username
            deletion = Deletion(client)
            assert not await deletion.run("not my password")
            assert deletion.complaint.code == "wrong_password"
            assert (await client.me()).username == name
            assert await deletion.run(PASSWORD)
            assert memory.tokens is None
            await is_signed_out(other)
            async with tab(installation.url) as visit:
                account = Account(visit)
                await account.login(name, PASSWORD)
                assert (account.phase, account.complaint.code) == ("arriving", "bad_credentials")

    run(story)


def test_everything_can_be_taken_along_as_a_file(installation):
    async def story() -> None:
        saved = {}

        async def save_file(name: str, content: bytes) -> None:
            saved[name] = content

        async with somebody(installation.url) as client:
            task = await client.generate(a_recipe(), a_key())
            await ended(client, task)
            used = StorageUsed(client)
            await used.load()
            assert used.known.pictures == 1
            export = Export(client, Saver(client, save_file))
            await export.run()
            assert export.is_done
            ((name, content),) = saved.items()
            assert name.endswith(".zip")
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                assert json.loads(archive.read("account.json"))["username"] == (await client.me()).username
                (picture,) = (each for each in archive.infolist() if each.filename.endswith(".png"))
                assert picture.file_size == used.known.used_bytes

    run(story)


def test_a_browser_that_fetches_an_export_by_itself_keeps_tokens_that_are_good(installation):
    async def story() -> None:
        memory = Memory()
        async with somebody(installation.url, memory) as client:
            await client.connection.keep(expired(memory.tokens))
            export = Export(client, Saver(client, no_file, "save.html"))
            assert export.saving_url == "save.html#export"
            await export.run()
            assert (export.is_done, export.complaint) == (False, None)
            headers = {"Authorization": f"Bearer {memory.tokens.access_token}"}
            async with httpx.AsyncClient(base_url=installation.url, headers=headers) as browser:
                assert (await browser.get("/api/v1/auth/me/export")).is_success

    run(story)


def test_an_export_without_a_network_is_no_file(installation):
    async def story() -> None:
        with TcpProxy(installation.url.removeprefix("http://")) as network:
            async with somebody(f"http://{network.address}") as client:
                export = Export(client, Saver(client, no_file))
                network.drop()
                await export.run()
                assert (export.is_done, export.complaint.code) == (False, "offline")

    run(story)
