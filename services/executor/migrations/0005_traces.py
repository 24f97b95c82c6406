"""The place in a trace of the request that made each job."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("ALTER TABLE jobs ADD COLUMN traceparent text NOT NULL DEFAULT ''")
