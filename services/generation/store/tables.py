"""Generation's tables.

The outbox is what has no `submitted_at` and has not ended: `submit_tried_at` is its order and its retry clock.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData()

_moment = sa.DateTime(timezone=True)

generation_tasks = sa.Table(
    "generation_tasks",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("user_id", sa.Uuid, nullable=False),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("negative_prompt", sa.Text, nullable=False),
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("steps", sa.Integer, nullable=False),
    sa.Column("cfg", sa.Double, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text),
    sa.Column("request_hash", sa.LargeBinary),
    sa.Column("waiting_reason", sa.Text),
    sa.Column("failure_reason", sa.Text),
    sa.Column("failure_message", sa.Text),
    sa.Column("job_version", sa.BigInteger, nullable=False),
    sa.Column("submit_tried_at", _moment),
    sa.Column("submit_failures", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("cancel_failures", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("submitted_at", _moment),
    sa.Column("cancel_requested_at", _moment),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("created_at", _moment, nullable=False),
    sa.Column("started_at", _moment),
    sa.Column("finished_at", _moment),
    sa.Column("traceparent", sa.Text, nullable=False, server_default=""),
    sa.Column("timeline", pg.JSONB, nullable=False, server_default=sa.text("'[]'")),
)

unfinished = generation_tasks.c.finished_at.is_(None)
unsubmitted = sa.and_(generation_tasks.c.submitted_at.is_(None), unfinished)
sa.Index(
    "generation_tasks_request",
    generation_tasks.c.user_id,
    generation_tasks.c.request_id,
    unique=True,
    postgresql_where=generation_tasks.c.request_id.is_not(None),
)
sa.Index("generation_tasks_history", generation_tasks.c.user_id, generation_tasks.c.id.desc())
sa.Index("generation_tasks_queued", generation_tasks.c.user_id, postgresql_where=unfinished)
sa.Index("generation_tasks_unfinished", generation_tasks.c.id, postgresql_where=unfinished)
sa.Index(
    "generation_tasks_outbox",
    generation_tasks.c.submit_tried_at.nulls_first(),
    generation_tasks.c.id,
    postgresql_where=unsubmitted,
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("display_name", pg.JSONB, nullable=False),
    sa.Column("description", pg.JSONB, nullable=False),
    sa.Column("license", sa.Text, nullable=False),
    sa.Column("limits", pg.JSONB, nullable=False),
    sa.Column("defaults", pg.JSONB, nullable=False),
    sa.Column("negative_prompt_supported", sa.Boolean, nullable=False),
    sa.Column("availability", sa.Text, nullable=False),
    sa.Column("unavailable_reason", sa.Text, nullable=False),
    sa.Column("position", sa.Integer),
    sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
)

erased_owners = sa.Table(
    "erased_owners",
    metadata,
    sa.Column("owner_hash", sa.LargeBinary, primary_key=True),
    sa.Column("erased_at", _moment, nullable=False),
)
