"""What each job was at: pairs of a phase and the seconds from the job's making to its beginning."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("ALTER TABLE jobs ADD COLUMN timeline jsonb NOT NULL DEFAULT '[]'")
