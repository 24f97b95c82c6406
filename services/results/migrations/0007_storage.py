"""What each owner's pictures take, and since when nobody keeps a picture."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("owner_id", sa.Uuid, primary_key=True),
        sa.Column("used_bytes", sa.BigInteger, nullable=False),
        sa.Column("pictures", sa.BigInteger, nullable=False),
        sa.CheckConstraint("used_bytes >= 0 AND pictures >= 0", name="usage_check"),
    )
    op.execute("INSERT INTO usage SELECT owner_id, sum(size_bytes), count(*) FROM results GROUP BY owner_id")
    op.create_table(
        "retention",
        sa.Column("only_row", sa.Boolean, primary_key=True, server_default=sa.true()),
        sa.Column("days", sa.Integer, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("only_row", name="retention_one_row"),
        sa.CheckConstraint("days > 0", name="retention_days_check"),
    )
    op.add_column("results", sa.Column("let_go_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE results SET let_go_at = created_at")
    op.alter_column("results", "let_go_at", nullable=False)
    op.create_index("results_let_go_at_idx", "results", ["let_go_at"], postgresql_where=sa.text("NOT favorite"))
