"""The place in a trace of the request that made each task."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("ALTER TABLE generation_tasks ADD COLUMN traceparent text NOT NULL DEFAULT ''")
