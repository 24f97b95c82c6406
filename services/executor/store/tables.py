"""The executor's tables. `lanes` has a row for each owner and model with waiting jobs: the head of that line."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from services.executor.domain import State

metadata = sa.MetaData()

_moment = sa.DateTime(timezone=True)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("queue_number", sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.Column("owner_id", sa.Uuid, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("negative_prompt", sa.Text, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("steps", sa.Integer, nullable=False),
    sa.Column("cfg", sa.Double, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("lease_epoch", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("adoptions", sa.Integer, nullable=False),
    sa.Column("memory_failures", sa.Integer, nullable=False),
    sa.Column("engine_id", sa.Uuid),
    sa.Column("prompt_id", sa.Uuid),
    sa.Column("lease_expires_at", _moment),
    sa.Column("cost", sa.Double, nullable=False),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("discard_pending", sa.Boolean, nullable=False),
    sa.Column("failure_reason", sa.Text),
    sa.Column("failure_message", sa.Text),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("created_at", _moment, nullable=False),
    sa.Column("started_at", _moment),
    sa.Column("finished_at", _moment),
    sa.Column("forecast_position", sa.Integer),
    sa.Column("forecast_seconds", sa.Double),
    sa.Column("forecast_at", _moment),
    sa.Column("traceparent", sa.Text, nullable=False, server_default=""),
    sa.Column("timeline", pg.JSONB, nullable=False, server_default="[]"),
)
waiting = sa.and_(jobs.c.state == State.PENDING, jobs.c.engine_id.is_(None))
sa.Index("jobs_waiting", jobs.c.model, jobs.c.owner_id, jobs.c.queue_number, postgresql_where=waiting)
sa.Index("jobs_leased", jobs.c.lease_expires_at, postgresql_where=jobs.c.lease_expires_at.is_not(None))
sa.Index("jobs_to_discard", jobs.c.id, postgresql_where=jobs.c.discard_pending)
sa.Index("jobs_unfinished", jobs.c.id, postgresql_where=jobs.c.finished_at.is_(None))
sa.Index("jobs_held_by_engine", jobs.c.engine_id, postgresql_where=jobs.c.engine_id.is_not(None))
sa.Index("jobs_held_of_owner", jobs.c.owner_id, postgresql_where=jobs.c.engine_id.is_not(None))
sa.Index("jobs_of_owner", jobs.c.owner_id)

owners = sa.Table(
    "owners",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("vtime", sa.Double, nullable=False),
    sa.Column("weight", sa.Double, nullable=False, server_default="1"),
    sa.Column("running_cap", sa.Integer),
)

erased_owners = sa.Table(
    "erased_owners",
    metadata,
    sa.Column("owner_hash", sa.LargeBinary, primary_key=True),
    sa.Column("erased_at", _moment, nullable=False),
)

lanes = sa.Table(
    "lanes",
    metadata,
    sa.Column("owner_id", sa.Uuid, primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("job_id", sa.Uuid, nullable=False),
    sa.Column("queue_number", sa.BigInteger, nullable=False),
    sa.Column("vtime", sa.Double, nullable=False),
    sa.Column("is_open", sa.Boolean, nullable=False),
)
sa.Index("lanes_order", lanes.c.model, lanes.c.vtime, lanes.c.queue_number, postgresql_where=lanes.c.is_open)

clocks = sa.Table(
    "clocks",
    metadata,
    sa.Column("engine_id", sa.Uuid, primary_key=True),
    sa.Column("v", sa.Double, nullable=False),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("engine_id", sa.Uuid, primary_key=True),
    sa.Column("models", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("missing", pg.JSONB, nullable=False),
    sa.Column("loaded_model", sa.Text, nullable=False),
    sa.Column("is_loading", sa.Boolean, nullable=False),
    sa.Column("engine_version", sa.Text, nullable=False),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("vram_total", sa.BigInteger, nullable=False),
    sa.Column("vram_free", sa.BigInteger, nullable=False),
    sa.Column("is_well", sa.Boolean, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("quarantined_until", _moment),
    sa.Column("drained", sa.Boolean, nullable=False),
    sa.Column("resumed_at", _moment),
    sa.Column("seen_at", _moment, nullable=False),
)

estimates = sa.Table(
    "estimates",
    metadata,
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("engine_id", sa.Uuid),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("samples", sa.ARRAY(sa.Double), nullable=False),
    sa.UniqueConstraint("kind", "model", "engine_id", "size", name="estimates_key", postgresql_nulls_not_distinct=True),
)
