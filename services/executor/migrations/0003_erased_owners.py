"""Whose account was deleted, and a way to all jobs of an owner."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("CREATE TABLE erased_owners (owner_hash bytea PRIMARY KEY, erased_at timestamptz NOT NULL)")
    op.execute("CREATE INDEX jobs_of_owner ON jobs (owner_id)")
