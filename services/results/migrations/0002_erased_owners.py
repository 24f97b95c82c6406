"""Deleted accounts: nothing is stored for them any more, and their bytes are known as theirs until they are deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "erased_owners",
        sa.Column("owner_hash", sa.LargeBinary, primary_key=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.add_column("orphans", sa.Column("owner_id", sa.Uuid))
    op.create_index("tombstones_owner_id_idx", "tombstones", ["owner_id"])
