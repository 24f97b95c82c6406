"""The first schema of results."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "results",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("task_id", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("image_url", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("task_id", "index", name="results_task_id_index_key"),
        sa.CheckConstraint("index >= 0", name="results_index_check"),
        sa.CheckConstraint("width > 0 AND height > 0 AND size_bytes > 0", name="results_extent_check"),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="results_sha256_check"),
    )
    op.create_index("results_owner_id_id_idx", "results", ["owner_id", "id"])
    op.create_table(
        "tombstones",
        sa.Column("task_id", sa.Uuid, nullable=False),
        sa.Column("index", sa.Integer),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint(
            "task_id", "index", name="tombstones_task_id_index_key", postgresql_nulls_not_distinct=True
        ),
    )
    op.create_table(
        "orphans",
        sa.Column("store_key", sa.Text, primary_key=True),
        sa.Column("doomed", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
