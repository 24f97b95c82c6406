"""What a claim takes on real PostgreSQL, with short queues and long ones.

Claims are made one after another by one worker. What is held against the target is processor time, the worker's and
PostgreSQL's together: neighbours on the same cores change it little.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Self
from uuid import uuid4

import sqlalchemy as sa

from deploy.local.ports import reserved_ports
from deploy.local.postgres import Postgres
from services.executor import store
from services.executor.domain import EngineId
from services.executor.scheduling.claims import Claims
from services.executor.scheduling.estimates import Estimates, Hint
from services.executor.scheduling.ledger import Ledger
from services.runtime.database import Database
from services.runtime.migrate import migrate
from tests.bench.measures import cpu_seconds
from tests.simulation.measures import Measure, Target, percentile

QUEUED = (100, 1_000, 10_000, 100_000)
MOST_OWNERS = 2_000
MODELS = ("sd15", "sdxl", "sdxl-turbo", "sd35-medium", "flux-schnell")
CLAIMS = 200
WARM_UP = 20
FLAT = Target(most=1.5)
"""A thousand times the queue may cost the reading of full pages and of every model's 16 heads, and no more."""

_FILL = (
    "TRUNCATE owners, jobs, lanes, clocks",
    """
    INSERT INTO owners (id, vtime) SELECT gen_random_uuid(), random() * 100 FROM generate_series(1, :owners)
    """,
    """
    INSERT INTO jobs (id, owner_id, model, prompt, negative_prompt, width, height, steps, cfg, seed, count, state,
                      version, lease_epoch, attempts, cost, cancel_requested, discard_pending, origin, created_at)
    SELECT gen_random_uuid(), ids[1 + number % :owners], (CAST(:models AS text[]))[1 + floor(random() * :kinds)],
           'a lighthouse', '', 512, 512, 20, 7, 42, 1, 'pending', 1, 0, 0, 5, false, false, '', now()
    FROM generate_series(1, :queued) AS number, (SELECT array_agg(id) AS ids FROM owners) AS owner
    """,
    """
    INSERT INTO lanes (owner_id, model, job_id, queue_number, vtime, is_open)
    SELECT DISTINCT ON (jobs.owner_id, model) jobs.owner_id, model, jobs.id, queue_number, vtime, true
    FROM jobs JOIN owners ON owners.id = jobs.owner_id
    ORDER BY jobs.owner_id, model, queue_number
    """,
)


@dataclass
class Claimed:
    """What claims took, without the first ones.

    Attributes:
        milliseconds: by a clock, of each.
        worker, database: processor seconds of all of them.
    """

    milliseconds: list[float] = field(default_factory=list)
    worker: float = 0.0
    database: float = 0.0

    def __iadd__(self, other: "Claimed") -> Self:
        self.milliseconds += other.milliseconds
        self.worker += other.worker
        self.database += other.database
        return self

    def measures(self, scenario: str, suffix: str = "") -> list[Measure]:
        number = len(self.milliseconds)
        return [
            Measure(scenario, f"ms p50{suffix}", [percentile(self.milliseconds, 0.5)]),
            Measure(scenario, f"ms p95{suffix}", [percentile(self.milliseconds, 0.95)]),
            Measure(scenario, f"ms of the worker's processor{suffix}", [1e3 * self.worker / number]),
            Measure(scenario, f"ms of PostgreSQL's processors{suffix}", [1e3 * self.database / number]),
        ]


def claim_times() -> tuple[list[Measure], dict[str, list[str]]]:
    """By length of the queue; and the plans of the query for the heads of the longest."""
    measures, plans = [], {}
    with server() as (url, pid), closing(Database(url)) as database:
        for name, owners in (("many owners", MOST_OWNERS), ("one owner has all", 1)):
            scenario, costs = f"a claim on PostgreSQL, {name}", []
            for queued in QUEUED:
                at_once = min(CLAIMS, queued // 4)  # more would find a short queue half empty, with fewer heads
                claimed = Claimed()
                for _ in range(CLAIMS // at_once):
                    fill(database, queued, min(owners, queued // 4))
                    claimed += claim(database, at_once, pid)
                measures += claimed.measures(scenario, f" with {queued:,} queued")
                costs.append((claimed.worker + claimed.database) / len(claimed.milliseconds))
            plans[f"{name}, {QUEUED[-1]:,} queued"] = _plan(database)
            growth = costs[-1] / costs[0]
            measures.append(Measure(scenario, "processors with the longest queue / with the shortest", [growth], FLAT))
    return measures, plans


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """The URL, with the newest schema, and the process of a PostgreSQL that keeps what it is told (fsync is on)."""
    with (
        reserved_ports(["postgres"]) as ports,
        tempfile.TemporaryDirectory(prefix="imagegen-claims-", ignore_cleanup_errors=True) as folder,
        Postgres(Path(folder), ports["postgres"], "postgres").running(),
    ):
        url = f"postgresql://postgres:postgres@127.0.0.1:{ports['postgres']}/postgres"
        migrate("executor", url)
        yield url, int((Path(folder) / "data" / "postmaster.pid").read_text().split()[0])


def fill(database: Database, queued: int, owners: int) -> None:
    values = {"queued": queued, "owners": owners, "models": list(MODELS), "kinds": len(MODELS)}
    with database.transaction() as tx:
        for statement in _FILL:
            tx.execute(sa.text(statement), values)
        tx.execute(sa.text("ANALYZE"))


def claim(database: Database, number: int, pid: int) -> Claimed:
    """By a new worker, of a server that is this process."""
    estimates = Estimates(dict.fromkeys(MODELS, Hint(1e-6, 15.0)), {})
    claims = Claims(
        EngineId(uuid4()),
        database=database,
        ledger=Ledger(None),
        estimates=lambda: estimates,
        lease=timedelta(minutes=1),
        clock=lambda: datetime.now(UTC),
    )
    taken = Claimed()
    for index in range(number):
        if index == min(WARM_UP, number // 2):
            taken = Claimed(worker=-process_time(), database=-cpu_seconds(pid))
        began = perf_counter()
        claimed = claims.claim(frozenset(MODELS), loaded=MODELS[0], ahead=False)
        taken.milliseconds.append(1e3 * (perf_counter() - began))
        assert claimed is not None
    taken.worker += process_time()
    taken.database += cpu_seconds(pid)
    return taken


def _plan(database: Database) -> list[str]:
    asked: list[tuple[str, Any]] = []
    with database.transaction() as tx:
        sa.event.listen(tx, "before_cursor_execute", lambda *call: asked.append(call[2:4]))
        store.heads(tx, MODELS, EngineId(uuid4()))
        statement, parameters = asked[0]
        explained = tx.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {statement}", parameters)
        return list(explained.scalars())
