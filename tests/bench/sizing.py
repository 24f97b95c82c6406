"""What a worker, a picture, an event and a stream take of every process: the figures that docs/operations.md sizes by.

Processor time is counted and not time, and what the same processes take at rest is subtracted, so neighbours on the
same cores change little. /healthz is the yardstick: what a request takes that asks no service.
"""

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg2
import redis

from services.executor.domain import JobId
from services.executor.events import EVENTS, EVENTS_KEPT, PREVIEWS, Publisher
from services.executor.settings import MODELS
from tests.bench.load import OPERATIONS, SETTINGS, Person
from tests.bench.measures import cpu_seconds, largest_first, memory_of_pid
from tests.installation import Installation, running_installation

CONTEXTS = ("auth", "generation", "executor", "results")
REST_SECONDS = 15.0
SETTLE_SECONDS = 3.0
"""PostgreSQL tells its counters with a second's delay; a log of 20,000 events is read in less than one."""

AT_ONCE = 8
SAMPLED, STEPS, STEP_SECONDS = "sd15", 20, 0.1
"""Pictures of two seconds."""

SAMPLES = 5
PREVIEW_BYTES = 40_000
PREVIEWS_SHOWN = 2_000
REQUESTS_OF = {"login": 30, "task": 300, "history": 300, "result": 300, "models": 300, "yardstick: /healthz": 1_000}
TOLD = 40
"""Progress events of each watched task."""


@dataclass
class Use:
    """What was used in a span: seconds, processor seconds by process, transactions by database, bytes of WAL."""

    seconds: float = 0.0
    processors: dict[str, float] = field(default_factory=dict)
    transactions: dict[str, float] = field(default_factory=dict)
    wal: float = 0.0

    def __sub__(self, other: "Use") -> "Use":
        return Use(
            self.seconds - other.seconds,
            _difference(self.processors, other.processors),
            _difference(self.transactions, other.transactions),
            self.wal - other.wal,
        )

    def beside(self, rest: "Use") -> "Use":
        """Without what the same seconds take at rest."""
        share = self.seconds / rest.seconds
        scaled = Use(
            0.0,
            {name: share * value for name, value in rest.processors.items()},
            {name: share * value for name, value in rest.transactions.items()},
            share * rest.wal,
        )
        return self - scaled


def _difference(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


def measure(*, pictures: int, streams: int) -> None:
    """Starts an installation and prints the tables."""
    with tempfile.TemporaryDirectory(prefix="imagegen-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        models = shutil.copytree(Path(__file__).parent / "models", folder / "bench-models")
        for file in MODELS.glob(f"{SAMPLED}.*"):
            shutil.copy(file, models)
        settings = {**SETTINGS, "EXECUTOR_MODELS_DIR": str(models), "SKETCH_STEP_SECONDS": str(STEP_SECONDS)}
        _all(folder, settings, pictures, streams)


def _all(folder: Path, settings: Mapping[str, str], pictures: int, streams: int) -> None:
    with running_installation(folder, **settings) as installation:
        _say(f"\n8. What it takes, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors before")
        asyncio.run(_measure(installation, pictures, streams))


async def _measure(at: Installation, pictures: int, streams: int) -> None:
    async with httpx.AsyncClient(base_url=at.url, timeout=60, limits=httpx.Limits(), trust_env=False) as http:
        person = _Watcher(http, "somebody")
        await person.register()
        await person.paint(0)
        rest = await _at_rest(at, person)
        await _requests(at, person, rest)
        await _painted(at, person, pictures, rest)
        await _events_of_a_picture(at, person)
        _memory(at)
        tasks = [await person.ask("bench-waiting")]
        await _at_work(at, "while it paints one picture for minutes, more than at rest", rest)
        tasks += [await person.ask("bench-waiting") for _ in range(streams - 1)]
        waiting = await _at_work(at, f"and {streams - 1} tasks wait, and nobody watches, more than at rest", rest)
        await _watched(at, person, tasks, waiting)
    _log(at, rest)


async def _at_rest(at: Installation, person: Person) -> Use:
    """Nobody asks for anything, without the worker and with it."""
    with at.kept_down("worker"):
        await asyncio.sleep(SETTLE_SECONDS)
        with _used(at) as without:
            await asyncio.sleep(REST_SECONDS)
    await person.paint(1)
    await asyncio.sleep(SETTLE_SECONDS)
    with _used(at) as rest:
        await asyncio.sleep(REST_SECONDS)
    _say("\nat rest, with one worker")
    for name, seconds in largest_first(rest.processors):
        _row(f"processor of {name}", f"{1000 * seconds / rest.seconds:.1f} ms/s")
    of_worker = (rest.transactions["executor"] - without.transactions["executor"]) / REST_SECONDS
    for name, number in rest.transactions.items():
        _row(f"transactions of {name}", f"{number / rest.seconds:.1f} /s")
    _row("of these the idle worker's", f"{of_worker:.1f} /s")
    of_postgres = (rest.processors["postgres"] - without.processors["postgres"]) / REST_SECONDS
    _row("processor of PostgreSQL for the idle worker", f"{1000 * of_postgres:.1f} ms/s")
    for name, number in _connections(at).items():
        _row(f"connections to the database of {name}", str(number))
    return rest


async def _requests(at: Installation, person: "_Watcher", rest: Use) -> None:
    """What a page asks for, and the yardstick."""
    person.tasks = [await person.ask("bench-null", seed=2)]
    await _await_ends(at)
    _say("\nprocessor of a request")
    for operation in OPERATIONS:
        number = REQUESTS_OF.get(operation.name)
        if number is None:
            continue
        await operation.do(person)
        with _used(at) as use:
            await _at_once(operation.do(person) for _ in range(number))
        held = use.beside(rest).processors
        shown = ", ".join(f"{name} {1000 * used / number:.1f}" for name, used in largest_first(held)[:5])
        _row(f"  {operation.name}", f"{1000 * sum(held.values()) / number:.1f} ms: {shown}")


async def _painted(at: Installation, person: "_Watcher", pictures: int, rest: Use) -> None:
    """Null pictures, from the request to the stored picture, with nobody watching."""
    await _at_once(person.ask("bench-null", seed=2 + number) for number in range(AT_ONCE))
    await _await_ends(at)
    await asyncio.sleep(SETTLE_SECONDS)
    sizes = _sizes(at)
    with _used(at) as use:
        await _at_once(person.ask("bench-null", seed=100 + number) for number in range(pictures))
        await _await_ends(at)
    grown = _difference(_sizes(at), sizes)
    held = use.beside(rest)
    _processors(f"{pictures} null pictures, {pictures / use.seconds:.0f} /s", held, pictures)
    for name in CONTEXTS:
        if (transactions := held.transactions[name] / pictures) >= 0.05:
            _row(f"  transactions of {name}", f"{transactions:.1f}")
    _row("  WAL", f"{held.wal / pictures / 1024:.1f} KiB")
    for name in CONTEXTS:
        if (size := grown[name] / pictures) >= 1:
            _row(f"  rows and indexes of {name}", f"{size / 1024:.2f} KiB")


async def _events_of_a_picture(at: Installation, person: "_Watcher") -> None:
    _say(f"\na picture of {SAMPLED} that takes {STEPS * STEP_SECONDS:.0f} s")
    with closing(redis.Redis.from_url(at.redis_url)) as log:
        before = {name: _written(log, name) for name in (EVENTS, PREVIEWS)}
        await _at_once(person.ask(SAMPLED, seed=number, steps=STEPS) for number in range(SAMPLES))
        await _await_ends(at)
        for title, name in (("events", EVENTS), ("previews", PREVIEWS)):
            _row(f"  {title} written", f"{(_written(log, name) - before[name]) / SAMPLES:.1f}")


def _written(log: redis.Redis, stream: str) -> int:
    """Entries, trimmed ones included; none if it has expired."""
    return int(log.xinfo_stream(stream)["entries-added"]) if log.exists(stream) else 0


async def _at_work(at: Installation, what: str, rest: Use) -> Use:
    await asyncio.sleep(SETTLE_SECONDS)
    with _used(at) as use:
        await asyncio.sleep(REST_SECONDS)
    more = use.beside(rest)
    _say(f"\n{what}")
    for name in ("worker", "postgres", "executor", "generation"):
        _row(f"  processor of {name}", f"{1000 * more.processors[name] / use.seconds:.1f} ms/s")
    for name in ("executor", "generation"):
        _row(f"  transactions of {name}", f"{more.transactions[name] / use.seconds:.1f} /s")
    return use


async def _watched(at: Installation, person: "_Watcher", tasks: Sequence[dict[str, Any]], rest: Use) -> None:
    """What an event takes on its way to somebody who watches, and what a stream takes that hears nothing."""
    publisher = Publisher(at.redis_url)
    snapshots = [asyncio.Event() for _ in tasks]
    async with asyncio.TaskGroup() as following:
        for task, snapshot in zip(tasks, snapshots, strict=True):
            following.create_task(person.count(task, snapshot))
        for snapshot in snapshots:
            await snapshot.wait()
        await asyncio.sleep(SETTLE_SECONDS)
        with _used(at) as quiet:
            await asyncio.sleep(REST_SECONDS)
        _processors(f"a second of each of {len(tasks)} quiet streams", quiet.beside(rest), len(tasks) * quiet.seconds)
        for name in ("generation", "executor"):
            _row(f"  transactions of {name}", f"{quiet.transactions[name] / len(tasks) / quiet.seconds:.2f} /s")
        with _used(at) as use:
            for step in range(TOLD):
                pause = asyncio.create_task(asyncio.sleep(0.25))
                for task in tasks:
                    await asyncio.to_thread(publisher.progress, JobId(UUID(task["id"])), 9, step, TOLD)
                await pause
            await person.has_been_told(TOLD * len(tasks))
        _processors(f"{person.told} events that {len(tasks)} streams told, each", use.beside(rest), person.told)
        for task in tasks:
            await person.cancel(task)
    publisher.close()


def _log(at: Installation, rest: Use) -> None:
    """A log that is filled anew, and previews that nobody looks at."""
    job_id = JobId(UUID(int=1))
    publisher = Publisher(at.redis_url)
    before = memory_of_pid(at.pid("executor"))[0]
    with _used(at) as use:
        for step in range(EVENTS_KEPT):
            publisher.progress(job_id, 1, step, EVENTS_KEPT)
        time.sleep(SETTLE_SECONDS)
    _processors(f"{EVENTS_KEPT} events in the log, each", use.beside(rest), EVENTS_KEPT)
    _row("  the executor grew by", f"{memory_of_pid(at.pid('executor'))[0] - before:.0f} MiB")
    with _used(at) as use:
        for _ in range(PREVIEWS_SHOWN):
            publisher.preview(job_id, 1, "image/jpeg", os.urandom(PREVIEW_BYTES))
        time.sleep(SETTLE_SECONDS)
    _processors(f"{PREVIEWS_SHOWN} previews of {PREVIEW_BYTES // 1000} kB, each", use.beside(rest), PREVIEWS_SHOWN)
    publisher.close()


class _Watcher(Person):
    """Counts what its streams tell."""

    told = 0
    _told_one = asyncio.Event()

    async def has_been_told(self, events: int) -> None:
        while self.told < events:
            self._told_one.clear()
            await self._told_one.wait()

    async def ask(self, model: str, **fields: int) -> dict[str, Any]:
        return await self._ask(model, **fields)

    async def count(self, task: dict[str, Any], snapshot: asyncio.Event) -> None:
        """Until the task is canceled."""
        async with self._follow(task) as source:
            async for event in source.aiter_sse():
                snapshot.set()
                if event.event == "progress":
                    self.told += 1
                    self._told_one.set()
                if event.data and json.loads(event.data).get("status") == "canceled":
                    return


@contextmanager
def _used(at: Installation) -> Iterator[Use]:
    """What is used meanwhile; to be read afterwards."""
    use, before = Use(), _so_far(at)
    yield use
    vars(use).update(vars(_so_far(at) - before))


def _so_far(at: Installation) -> Use:
    processors = {name: cpu_seconds(process["pid"]) for name, process in at.processes.items() if process["pid"]}
    counted = "SELECT datname, xact_commit + xact_rollback FROM pg_stat_database WHERE datname = ANY(%s)"
    with _asking(at, "executor") as cursor:
        cursor.execute(counted, [list(CONTEXTS)])
        transactions = {name: float(number) for name, number in cursor.fetchall()}
        cursor.execute("SELECT pg_current_wal_lsn() - '0/0'")
        return Use(time.monotonic(), processors, transactions, float(cursor.fetchone()[0]))


def _sizes(at: Installation) -> dict[str, float]:
    """Bytes of each context's tables and indexes."""
    sizes = {}
    for name in CONTEXTS:
        with _asking(at, name) as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            sizes[name] = float(cursor.fetchone()[0])
    return sizes


def _connections(at: Installation) -> dict[str, int]:
    with _asking(at, "executor") as cursor:
        cursor.execute("SELECT datname, count(*) FROM pg_stat_activity WHERE pid != pg_backend_pid() GROUP BY 1")
        counted = dict(cursor.fetchall())
    return {name: counted.get(name, 0) for name in CONTEXTS}


@contextmanager
def _asking(at: Installation, context: str) -> Iterator[Any]:
    url = at.database_url(context).replace("+psycopg2", "")
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        yield cursor


async def _await_ends(at: Installation) -> None:
    """Until no task is under way."""
    with _asking(at, "generation") as cursor:
        cursor.connection.autocommit = True
        while True:
            cursor.execute("SELECT count(*) FROM generation_tasks WHERE status IN ('pending', 'processing')")
            if not cursor.fetchone()[0]:
                return
            await asyncio.sleep(0.2)


async def _at_once(calls: Iterator[Awaitable[Any]]) -> None:
    """A few at a time."""

    async def take() -> None:
        for call in calls:
            await call

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(take())


def _memory(at: Installation) -> None:
    _say("\nmemory after that")
    for name, process in at.processes.items():
        if process["pid"] and name != "postgres":  # a family that shares its buffers
            rss, pss = memory_of_pid(process["pid"])
            _row(f"  {name}", f"{rss:.0f} MiB (PSS {pss:.0f})")


def _processors(what: str, use: Use, number: float) -> None:
    _say(f"\n{what}")
    _row("  processor, all", f"{1000 * sum(use.processors.values()) / number:.3f} ms")
    for name, seconds in largest_first(use.processors):
        if 1000 * seconds / number >= 0.0005:
            _row(f"  processor of {name}", f"{1000 * seconds / number:.3f} ms")


def _row(what: str, figure: str) -> None:
    _say(f"{what:60}{figure}")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the table is what this program is for
