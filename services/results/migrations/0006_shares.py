"""Share links, and the limit of guessing their passwords."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("owner_id", sa.Uuid, nullable=False),
        sa.Column("result_id", sa.Uuid, sa.ForeignKey("results.id", ondelete="SET NULL")),
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("hide_prompt", sa.Boolean, nullable=False),
        sa.Column("allow_download", sa.Boolean, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("request_hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("octet_length(token_hash) = 32", name="shares_token_hash_check"),
        sa.CheckConstraint("octet_length(request_hash) = 32", name="shares_request_hash_check"),
        sa.CheckConstraint("password_hash LIKE '$argon2id$%'", name="shares_password_hash_check"),
    )
    op.create_index("shares_token_hash_key", "shares", ["token_hash"], unique=True)
    op.create_index("shares_owner_id_request_id_key", "shares", ["owner_id", "request_id"], unique=True)
    op.create_index("shares_owner_id_id_idx", "shares", ["owner_id", "id"])
    op.create_index("shares_result_id_id_idx", "shares", ["result_id", "id"])
    op.create_table(
        "share_attempts",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(key) = 32", name="share_attempts_key_check"),
    )
    op.create_index("share_attempts_until_idx", "share_attempts", ["until"])
