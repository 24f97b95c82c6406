"""Pictures in other formats and sizes, and a blur of each. What is older has none of either."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("results", sa.Column("thumb_hash", sa.LargeBinary, nullable=False, server_default=""))
    op.alter_column("results", "thumb_hash", server_default=None)
    op.create_check_constraint("results_thumb_hash_check", "results", "octet_length(thumb_hash) <= 25")
    op.create_table(
        "variants",
        sa.Column("result_id", sa.Uuid, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("store_key", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("result_id", "media_type", "width", name="variants_pkey"),
        # Without a cascade: the bytes would be forgotten with the row.
        sa.ForeignKeyConstraint(["result_id"], ["results.id"], name="variants_result_id_fkey"),
        sa.CheckConstraint("width > 0 AND height > 0 AND size_bytes > 0", name="variants_extent_check"),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="variants_sha256_check"),
    )
