"""What each task was at: pairs of a phase and the seconds from the task's making to its beginning."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("ALTER TABLE generation_tasks ADD COLUMN timeline jsonb NOT NULL DEFAULT '[]'")
