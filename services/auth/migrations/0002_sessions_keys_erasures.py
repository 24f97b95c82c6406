"""Roles, API keys, what revokes and what forgets them, and the limits of guessing."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("users", sa.Column("role", sa.Text, nullable=False, server_default="user"))
    op.create_check_constraint("users_role_check", "users", "role IN ('user', 'operator')")
    op.add_column("users", sa.Column("request_id", sa.Text))
    op.add_column("users", sa.Column("request_hash", sa.LargeBinary))
    op.create_check_constraint(
        "users_request_check",
        "users",
        "(request_id IS NULL) = (request_hash IS NULL) AND octet_length(request_hash) = 32",
    )
    op.create_index("users_request_id_key", "users", ["request_id"], unique=True)
    op.add_column("sessions", sa.Column("device", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", pg.ARRAY(sa.Text), nullable=False),
        sa.Column("key_hash", sa.LargeBinary, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "cardinality(scopes) > 0 AND scopes <@ ARRAY['generate', 'read', 'share', 'admin']",
            name="api_keys_scopes_check",
        ),
        sa.CheckConstraint("octet_length(key_hash) = 32", name="api_keys_key_hash_check"),
        # More of the secret than this would help whoever reads the table to guess the rest.
        sa.CheckConstraint("prefix LIKE 'igk\\_%' AND length(prefix) = 12", name="api_keys_prefix_check"),
        sa.CheckConstraint("expires_at > created_at", name="api_keys_expires_at_check"),
    )
    op.create_index("api_keys_key_hash_key", "api_keys", ["key_hash"], unique=True)
    op.create_index("api_keys_user_id_request_id_key", "api_keys", ["user_id", "request_id"], unique=True)
    op.create_table(
        "revocations",
        sa.Column("sid", sa.Uuid, primary_key=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "written_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")
        ),
    )
    op.create_index("revocations_written_at_idx", "revocations", ["written_at"])
    op.create_table(
        "erasures",
        sa.Column("user_hash", sa.LargeBinary, primary_key=True),
        sa.Column("user_id", sa.Uuid),
        sa.Column("pending", pg.ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("octet_length(user_hash) = 32", name="erasures_user_hash_check"),
        sa.CheckConstraint("pending <@ ARRAY['generation', 'executor', 'results']", name="erasures_pending_check"),
        # The id is kept exactly as long as somebody has yet to forget it.
        sa.CheckConstraint(
            "(user_id IS NULL) = (finished_at IS NOT NULL) AND (pending = '{}') = (finished_at IS NOT NULL)",
            name="erasures_finished_at_check",
        ),
    )
    op.create_index("erasures_user_id_key", "erasures", ["user_id"], unique=True)
    op.create_table(
        "attempts",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("tat", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(key) = 32", name="attempts_key_check"),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value_encrypted", sa.LargeBinary, nullable=False),
    )
