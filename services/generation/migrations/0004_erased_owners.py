"""Deleted accounts: nothing is accepted for them any more."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE erased_owners (
            owner_hash bytea PRIMARY KEY,
            erased_at timestamptz NOT NULL
        )
    """)
