"""DeleteMe, and how the other services hear of it."""

import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet
from imagegen.auth.v1 import identity_service_pb2 as pb

from services.auth.encryption import reencrypt
from services.runtime.database import Database
from tests.auth.conftest import at_once, refused
from tests.identities import as_service

CONTEXTS = ["generation", "executor", "results"]
WRONG = ("PERMISSION_DENIED", "WRONG_PASSWORD")


def pending(world, context: str) -> list[str]:
    return list(world.identity.ListErasures(pb.ListErasuresRequest(), metadata=as_service(context, "auth")).user_ids)


def acknowledge(world, context: str, user_id: str) -> None:
    request = pb.AcknowledgeErasureRequest(user_id=user_id)
    world.identity.AcknowledgeErasure(request, metadata=as_service(context, "auth"))


def erased(world) -> str:
    """The id of an account that has been deleted."""
    user = world.register()
    world.delete_me(world.login(user.username))
    return user.id


def traces(world, user_id: str) -> list[str]:
    """The tables with a row that has this id in any column."""
    tables = world.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    found = "SELECT 1 FROM {0} WHERE CAST({0} AS text) LIKE :id OR CAST({0} AS text) LIKE :hex"
    values = {"id": f"%{user_id}%", "hex": f"%{UUID(user_id).hex}%"}
    return [table for (table,) in tables if world.sql(found.format(table), **values)]


def test_a_deleted_account_signs_in_nowhere_and_its_names_are_free(world):
    user = world.register("ada", "ada@example.org")
    tokens, phone = world.login("ada"), world.login("ada")
    key = world.new_key(tokens)
    sessions = {session.id for session in world.sessions(tokens)}

    world.delete_me(tokens)

    with refused("UNAUTHENTICATED", "BAD_CREDENTIALS"):
        world.login("ada")
    for gone in (tokens, phone):
        with refused("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID"):
            world.refresh(gone.refresh_token)
    assert world.revoked() == {*sessions, key.api_key.id}
    assert world.register("ada", "ada@example.org").id != user.id


def test_the_password_is_asked_for(world):
    world.register("ada")
    tokens = world.login("ada")

    with refused(*WRONG):
        world.delete_me(tokens, "wrong")

    assert world.me(tokens)
    assert pending(world, "results") == []


def test_each_context_is_told_until_it_has_acknowledged(world):
    user_id = erased(world)
    for context in CONTEXTS:
        assert pending(world, context) == [user_id]
        acknowledge(world, context, user_id)
        acknowledge(world, context, user_id)
        assert pending(world, context) == []


def test_the_oldest_are_told_first_and_a_hundred_at_once(world):
    ids = sorted(str(uuid4()) for _ in range(101))
    for n, user_id in enumerate(ids):
        world.sql(
            "INSERT INTO erasures VALUES (sha256(:id), :user_id, '{results}', now() + :n * interval '1 second')",
            id=user_id.encode(),
            user_id=user_id,
            n=n,
        )

    assert pending(world, "results") == ids[:100]
    assert pending(world, "executor") == []


def test_the_id_is_found_nowhere_once_all_have_acknowledged(world):
    user_id = erased(world)
    assert traces(world, user_id) == ["erasures"]
    for context in CONTEXTS[:2]:
        acknowledge(world, context, user_id)
    assert traces(world, user_id) == ["erasures"]

    acknowledge(world, CONTEXTS[2], user_id)

    assert traces(world, user_id) == []
    assert world.sql("SELECT finished_at IS NOT NULL, pending FROM erasures") == [(True, [])]


def test_what_is_kept_is_a_keyed_hash_that_outlives_the_encryption_keys(world):
    def kept_key(*fernet_keys: bytes) -> bytes:
        [(encrypted,)] = world.sql("SELECT value_encrypted FROM secrets WHERE name = 'erasures'")
        return Fernet(fernet_keys[0]).decrypt(bytes(encrypted))

    before = kept_key(world.fernet_key)
    user_id = erased(world)
    new = Fernet.generate_key()
    with closing(Database(world.url)) as database:
        reencrypt(database, world.encryption(new, world.fernet_key))
        world.erasures(database, new).prepare()

    assert kept_key(new) == before
    [(kept,)] = world.sql("SELECT user_hash FROM erasures")
    assert bytes(kept) == hmac.digest(before, UUID(user_id).bytes, hashlib.sha256)


def test_acknowledgements_at_once_finish_the_erasure(world):
    user_id = erased(world)

    at_once([partial(acknowledge, world, context, user_id) for context in CONTEXTS for _ in range(3)])

    assert world.sql("SELECT user_id FROM erasures") == [(None,)]


def test_an_account_that_is_not_being_erased_is_nobodys_business(world):
    user = world.register("ada")

    acknowledge(world, "results", user.id)
    acknowledge(world, "results", str(uuid4()))
    with refused("INVALID_ARGUMENT", "INVALID_FIELD", "user_id"):
        acknowledge(world, "results", "no uuid")

    assert world.login("ada")


@pytest.mark.parametrize("call", ["login", "key", "refresh"])
def test_what_waited_for_the_end_of_the_account_is_refused(world, call):
    world.register("ada")
    tokens = world.login("ada")
    calls = {
        "login": (partial(world.login, "ada"), ("UNAUTHENTICATED", "BAD_CREDENTIALS")),
        "key": (partial(world.new_key, tokens), ("NOT_FOUND", "USER_NOT_FOUND")),
        "refresh": (partial(world.refresh, tokens.refresh_token), ("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID")),
    }
    waits, answer = calls[call]
    with ThreadPoolExecutor(1) as thread:
        with world.engine.begin() as tx:
            tx.exec_driver_sql("DELETE FROM users")
            waiting = thread.submit(waits)
            world.until_it_waits_for_a_lock(waiting)
        with refused(*answer):
            waiting.result(10)


def test_deletions_at_once_delete_once(world):
    tokens = world.signed_in()

    answers = at_once([partial(world.delete_me, tokens)] * 8)

    assert answers.count(None) == 1
    assert set(answers) <= {None, "USER_NOT_FOUND", "WRONG_PASSWORD", "TOKEN_REVOKED"}
    assert len(pending(world, "results")) == 1


def test_logins_and_a_deletion_at_once_leave_nothing(world):
    world.register("ada")
    tokens = world.login("ada")

    at_once([partial(world.login, "ada") for _ in range(8)] + [partial(world.delete_me, tokens)])

    assert world.sql("SELECT count(*) FROM sessions") == [(0,)]
    assert world.sql("SELECT count(*) FROM users") == [(0,)]
