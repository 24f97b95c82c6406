"""What a claim takes on real PostgreSQL, with short queues and long ones.

Claims are made one after another by one worker, so the figures are of a claim's own work and not of the machine's.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any
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


def claim_times() -> tuple[list[Measure], dict[str, list[str]]]:
    """Milliseconds by length of the queue; and the plans of the query for the heads of the longest."""
    measures, plans = [], {}
    with empty_queue() as database:
        for name, owners in (("many owners", MOST_OWNERS), ("one owner has all", 1)):
            scenario, medians = f"a claim on PostgreSQL, {name}", []
            for queued in QUEUED:
                at_once = min(CLAIMS, queued // 4)  # more would find a short queue half empty, with fewer heads
                milliseconds = []
                for _ in range(CLAIMS // at_once):
                    fill(database, queued, min(owners, queued // 4))
                    milliseconds += timed_claims(database, at_once)
                for share in (0.5, 0.95):
                    figure = f"ms p{share * 100:.0f} with {queued:,} queued"
                    measures.append(Measure(scenario, figure, [percentile(milliseconds, share)]))
                medians.append(percentile(milliseconds, 0.5))
            plans[f"{name}, {QUEUED[-1]:,} queued"] = _plan(database)
            growth = Measure(
                scenario, "p50 with the longest queue / with the shortest", [medians[-1] / medians[0]], FLAT
            )
            measures.append(growth)
    return measures, plans


@contextmanager
def empty_queue() -> Iterator[Database]:
    """With the newest schema, on a server of its own."""
    with (
        reserved_ports(["postgres"]) as ports,
        tempfile.TemporaryDirectory(prefix="imagegen-claims-", ignore_cleanup_errors=True) as folder,
        Postgres(Path(folder), ports["postgres"], "postgres", durable=False).running(),
    ):
        url = f"postgresql://postgres:postgres@127.0.0.1:{ports['postgres']}/postgres"
        migrate("executor", url)
        with closing(Database(url)) as database:
            yield database


def fill(database: Database, queued: int, owners: int) -> None:
    values = {"queued": queued, "owners": owners, "models": list(MODELS), "kinds": len(MODELS)}
    with database.transaction() as tx:
        for statement in _FILL:
            tx.execute(sa.text(statement), values)
        tx.execute(sa.text("ANALYZE"))


def timed_claims(database: Database, number: int) -> list[float]:
    estimates = Estimates(dict.fromkeys(MODELS, Hint(1e-6, 15.0)), {})
    claims = Claims(
        EngineId(uuid4()),
        database=database,
        ledger=Ledger(None),
        estimates=lambda: estimates,
        lease=timedelta(minutes=1),
        clock=lambda: datetime.now(UTC),
    )
    milliseconds = []
    for _ in range(number):
        began = perf_counter()
        claimed = claims.claim(frozenset(MODELS), loaded=MODELS[0], ahead=False)
        milliseconds.append(1e3 * (perf_counter() - began))
        assert claimed is not None
    return milliseconds[min(WARM_UP, number // 2) :]


def _plan(database: Database) -> list[str]:
    asked: list[tuple[str, Any]] = []
    with database.transaction() as tx:
        sa.event.listen(tx, "before_cursor_execute", lambda *call: asked.append(call[2:4]))
        store.heads(tx, MODELS, EngineId(uuid4()))
        statement, parameters = asked[0]
        explained = tx.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {statement}", parameters)
        return list(explained.scalars())
