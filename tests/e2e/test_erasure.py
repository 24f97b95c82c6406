"""Who deletes their account leaves no trace, in no database, file or key of Redis, whoever was down meanwhile."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg2
import pytest
import redis
from psycopg2 import sql

from tests.accounts import Account
from tests.e2e.test_models import a_failing_graph, dropped, eventually, offered
from tests.installation import Installation

CONTEXTS = ("auth", "generation", "executor", "results")
ERASED_WITHIN_SECONDS = 30.0
COUNTED_SECONDS = 60.0
"""A request is counted under its caller's id for a minute, and a job's last events are kept as long: Redis itself
removes them then."""

SLOW = {"width": 1024, "height": 1024, "steps": 50}
"""Ten seconds: what runs and what waits stays so for a while."""


@pytest.mark.parametrize("absent", ["results", *(["executor", "generation"] if os.environ.get("THOROUGH") else [])])
def test_a_deleted_account_leaves_no_trace_whoever_was_down_meanwhile(installation, absent):
    neighbour = Account(installation)
    kept = neighbour.painted(steps=1)
    account = Account(installation)
    account.api_key(["read"])
    account.sign_in()
    completed = account.painted(prompt=f"a lighthouse of {account.name}", steps=1, count=2)
    share = shared_marked_and_reduced(account, completed["results"][0])
    canceled = account.generate(**SLOW)["id"]
    account.http.post(f"/api/v1/generation/tasks/{canceled}/cancel").raise_for_status()
    name = f"failing-when-{absent}-is-away"
    with dropped(installation.models, name, a_failing_graph("value")):
        eventually(lambda: offered(account.http).get(name, False))
        failed = account.until(account.generate(model=name, steps=1)["id"], "failed")
    running = account.generate(**SLOW)["id"]
    account.until(running, "processing")
    waiting = [account.generate(**SLOW)["id"] for _ in range(3)]

    ids = {account.id, completed["id"], failed["id"], canceled, running, share["id"], *waiting}
    pictures = {result["id"] for result in completed["results"]}
    everything = {*ids, *pictures, account.name, account.email}
    assert set(traces(installation, everything)) >= {*CONTEXTS, "pictures"}, "else nothing would have been erased"

    with installation.kept_down(absent):
        account.delete()
        assert account.http.get("/api/v1/auth/me").status_code in (401, 404)
        for url in (share["url"], *(result["image_url"] for result in completed["results"])):
            eventually_gone(account, url, unless_away=absent == "results")

    deadline = time.monotonic() + ERASED_WITHIN_SECONDS
    while left := traces(installation, everything):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    assert neighbour.until(kept["id"], "completed")["results"][0]["sha256"] == kept["results"][0]["sha256"]
    assert neighbour.http.get(kept["results"][0]["image_url"]).status_code == 200
    assert neighbour.painted(steps=1)["status"] == "completed"


def test_redis_forgets_a_deleted_account_with_its_last_events_and_the_counting_of_its_requests(installation):
    account = Account(installation)
    ids = {account.id, account.generate(**SLOW)["id"]}
    assert in_redis(installation, ids), "else nothing would have been forgotten"
    account.delete()
    deadline = time.monotonic() + ERASED_WITHIN_SECONDS
    while left := {key for key, seconds in in_redis(installation, ids).items() if not 0 < seconds <= COUNTED_SECONDS}:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def shared_marked_and_reduced(account: Account, result: dict[str, Any]) -> dict[str, Any]:
    """The share link of a picture that is also a favorite, and that is stored in another size and format as well."""
    path = f"/api/v1/results/{result['id']}"
    account.http.put(f"{path}/favorite").raise_for_status()
    account.http.get(f"{path}/image?w=160&format=jpeg").raise_for_status()
    share: dict[str, Any] = account.http.post(f"{path}/shares", json={}).raise_for_status().json()
    account.http.get(share["url"]).raise_for_status()
    return share


def eventually_gone(account: Account, url: str, *, unless_away: bool) -> None:
    """A link that was handed out opens nothing any more; while the service is away it opens nothing either."""
    deadline = time.monotonic() + ERASED_WITHIN_SECONDS
    while (status := account.http.get(url, headers={"authorization": ""}).status_code) != 404:
        if unless_away and status in (503, 504):
            return
        assert time.monotonic() < deadline, status
        time.sleep(0.05)


def traces(installation: Installation, secrets: set[str]) -> dict[str, set[str]]:
    """Place → where in it one of these texts is, in whatever form: as text or, of an id, its sixteen bytes."""
    found = {context: set(in_database(installation, context, secrets)) for context in CONTEXTS}
    found["pictures"] = set(in_files(installation.pictures, secrets))
    return {place: names for place, names in found.items() if names}


def in_database(installation: Installation, context: str, secrets: set[str]) -> Iterator[str]:
    """`table.column` of every cell of every table; a cell is compared in its text form, bytea in hexadecimal."""
    patterns = [f"%{secret.lower()}%" for secret in secrets]
    patterns += [f"%{form}%" for secret in secrets for form in _encoded(secret)]
    url = installation.database_url(context).replace("+psycopg2", "")
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'")
        for table, column in cursor.fetchall():
            query = sql.SQL("SELECT 1 FROM {} WHERE lower({}::text) LIKE ANY(%s) LIMIT 1")
            cursor.execute(query.format(sql.Identifier(table), sql.Identifier(column)), [patterns])
            if cursor.fetchone():
                yield f"{table}.{column}"


def in_files(folder: Path, secrets: set[str]) -> Iterator[str]:
    """Every file, by its path and by its bytes."""
    wanted = [form for secret in secrets for form in _bytes(secret)]
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # deleted under our hands: that is what is waited for
            name = str(path.relative_to(folder))
            content = path.read_bytes() if path.is_file() else b""
            if any(form in content or form in name.encode() for form in wanted):
                yield name


def in_redis(installation: Installation, secrets: set[str]) -> dict[str, int]:
    """Every key that has one of these, in its name or in its value as it is stored → seconds until it is gone."""
    wanted = [form for secret in secrets for form in _bytes(secret)]
    found = {}
    with redis.Redis.from_url(installation.redis_url) as client:
        for key in client.scan_iter(count=1000):
            value = client.dump(key) or b""
            if any(form in key or form in value for form in wanted):
                found[repr(key)] = client.ttl(key)
    return found


def _encoded(secret: str) -> Iterator[str]:
    """Hexadecimal of the text's bytes and of an id's, as PostgreSQL prints bytea."""
    yield from (form.hex() for form in _bytes(secret))


def _bytes(secret: str) -> Iterator[bytes]:
    yield secret.encode()
    with contextlib.suppress(ValueError):
        yield UUID(secret).bytes
        yield UUID(secret).hex.encode()
