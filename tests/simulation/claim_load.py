"""What claims take of one PostgreSQL: beside more and more workers, and when many workers claim at once."""

from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from time import monotonic

import sqlalchemy as sa

from services.runtime.database import Database
from tests.bench.measures import cpu_seconds
from tests.simulation.claim_time import MODELS, MOST_OWNERS, claim, fill, server
from tests.simulation.measures import Measure

WORKERS = (10, 1_000, 10_000, 100_000)
IDLE = 0.1
"""Of the workers that there are; each other one holds a job."""

QUEUED = 10_000
AT_ONCE = (1, 4, 16)
CLAIMS = 100
CLAIMS_IN_ALL = 800

_WORKERS = (
    "SET LOCAL statement_timeout = 0",
    "TRUNCATE workers",
    """
    INSERT INTO workers (engine_id, models, missing, loaded_model, is_loading, engine_version, device, vram_total,
                         is_well, problem, drained, seen_at)
    SELECT gen_random_uuid(), :models, '{}', (CAST(:models AS text[]))[1 + number % :kinds], false, '0.33', 'a GPU', 0,
           true, '', false, now() + interval '1 hour'
    FROM generate_series(1, :workers) AS number
    """,
    "INSERT INTO clocks (engine_id, v) SELECT engine_id, 0 FROM workers",
    """
    INSERT INTO jobs (id, owner_id, model, prompt, negative_prompt, width, height, steps, cfg, seed, count, state,
                      version, lease_epoch, attempts, cost, cancel_requested, discard_pending, origin, created_at,
                      engine_id, prompt_id, lease_expires_at, started_at)
    SELECT gen_random_uuid(), gen_random_uuid(), loaded_model, 'a lighthouse', '', 512, 512, 20, 7, 42, 1, 'processing',
           2, 1, 0, 5, false, false, '', now(), engine_id, gen_random_uuid(), now() + interval '1 hour', now()
    FROM workers LIMIT :busy
    """,
    "UPDATE jobs SET created_at = now() - interval '1 minute' WHERE engine_id IS NULL",
    "ANALYZE",
)


def claim_load() -> list[Measure]:
    """What a claim takes by the number of workers, and claims per second by how many processes claim at once."""
    measures = []
    with server() as (url, pid), closing(Database(url)) as database:
        for workers in WORKERS:
            _people(database, workers)
            measures += claim(database, CLAIMS, pid).measures(f"a claim beside {workers:,} workers")
        for number in AT_ONCE:
            _people(database, WORKERS[0])
            measures += _at_once(url, pid, number)
    return measures


def _people(database: Database, workers: int) -> None:
    fill(database, QUEUED, MOST_OWNERS)
    values = {
        "models": list(MODELS),
        "kinds": len(MODELS),
        "workers": workers,
        "busy": round(workers * (1 - IDLE)),
    }
    with database.transaction() as tx:
        for statement in _WORKERS:
            tx.execute(sa.text(statement), values)


def _at_once(url: str, pid: int, number: int) -> list[Measure]:
    each = CLAIMS_IN_ALL // number
    with ProcessPoolExecutor(number, mp_context=get_context("spawn")) as crowd:
        list(crowd.map(_claim, [url] * number, [1] * number, [pid] * number))  # each has a connection then
        before, began = cpu_seconds(pid), monotonic()
        list(crowd.map(_claim, [url] * number, [each] * number, [pid] * number))
        elapsed, used = monotonic() - began, cpu_seconds(pid) - before
    name = f"{number} workers that claim at once"
    return [
        Measure(name, "claims per second", [CLAIMS_IN_ALL / elapsed]),
        Measure(name, "ms of PostgreSQL's processors", [1e3 * used / CLAIMS_IN_ALL]),
    ]


def _claim(url: str, number: int, pid: int) -> None:
    with closing(Database(url, connections=1)) as database:
        claim(database, number, pid)
