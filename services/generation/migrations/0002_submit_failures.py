"""How often a task's submit was answered with an error of the executor's own."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE generation_tasks ADD COLUMN submit_failures integer NOT NULL DEFAULT 0")
