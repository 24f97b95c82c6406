"""Samples of how long things took."""

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql as pg

from services.executor.domain import EngineId
from services.executor.scheduling.estimates import KEPT, Key, Kind
from services.executor.store.tables import estimates


def load_samples(tx: Connection) -> dict[Key, list[float]]:
    return {
        Key(Kind(row.kind), row.model, row.engine_id and EngineId(row.engine_id), row.size): row.samples
        for row in tx.execute(sa.select(estimates))
    }


def add_sample(tx: Connection, key: Key, value: float) -> None:
    """Keep it, and the newest of those that were there."""
    all_ = "(estimates.samples || excluded.samples)"
    kept: sa.ColumnElement[list[float]] = sa.literal_column(f"{all_}[greatest(1, cardinality{all_} - {KEPT - 1}):]")
    insert = pg.insert(estimates).values(
        kind=key.kind, model=key.model, engine_id=key.engine_id, size=key.size, samples=[value]
    )
    tx.execute(insert.on_conflict_do_update(constraint="estimates_key", set_={"samples": kept}))
