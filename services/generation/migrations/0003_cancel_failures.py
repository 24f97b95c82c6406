"""How often a task's cancel was answered with an error of the executor's own."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE generation_tasks ADD COLUMN cancel_failures integer NOT NULL DEFAULT 0")
