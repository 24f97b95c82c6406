"""The tables of results.

`tombstones` hold what must not come back: one picture of a task, or (index NULL) all that it would ever store. They
are kept as long as their owner is.

`orphans` are keys that no row points to, though bytes may lie under them: on their way in, or doomed to deletion.
A key is an orphan from before its first byte is written until a row adopts it, and again from the moment that the
row is deleted until its bytes are; so whatever a crash leaves behind is listed here. A doomed key cannot be
adopted, hence no row ever points to bytes that are being deleted.

`shares` outlive their pictures and never move to another, so that a link that has ended can say so; they are kept as
long as their owner is. `share_attempts` count wrong passwords under a hash, until the moment `until`.

`usage` sums up each owner's results. `retention` has a row while it is on: how many days it grants, and since when it
grants no more. `let_go_at` of a result is when it was last up to nobody to keep it (see `store.retention`).

Of an erased owner only a hash is left.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSVECTOR

metadata = sa.MetaData()

results = sa.Table(
    "results",
    metadata,
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
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("negative_prompt", sa.Text, nullable=False),
    sa.Column("asked_width", sa.Integer, nullable=False),
    sa.Column("asked_height", sa.Integer, nullable=False),
    sa.Column("steps", sa.Integer, nullable=False),
    sa.Column("cfg", sa.Double, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("engine", sa.Text, nullable=False),
    sa.Column("favorite", sa.Boolean, nullable=False),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("words", TSVECTOR, nullable=False),
    sa.Column("thumb_hash", sa.LargeBinary, nullable=False),
    sa.Column("let_go_at", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("task_id", "index", name="results_task_id_index_key"),
    sa.Index("results_owner_id_id_idx", "owner_id", "id"),
    sa.Index("results_words_idx", "words", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    sa.Index("results_let_go_at_idx", "let_go_at", postgresql_where=sa.text("NOT favorite")),
)

variants = sa.Table(
    "variants",
    metadata,
    sa.Column("result_id", sa.Uuid, sa.ForeignKey("results.id"), primary_key=True),
    sa.Column("media_type", sa.Text, primary_key=True),
    sa.Column("width", sa.Integer, primary_key=True),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("store_key", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("task_id", sa.Uuid, nullable=False),
    sa.Column("index", sa.Integer),
    sa.Column("owner_id", sa.Uuid, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("task_id", "index", name="tombstones_task_id_index_key", postgresql_nulls_not_distinct=True),
    sa.Index("tombstones_owner_id_idx", "owner_id"),
)

orphans = sa.Table(
    "orphans",
    metadata,
    sa.Column("store_key", sa.Text, primary_key=True),
    sa.Column("doomed", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("owner_id", sa.Uuid),
)

usage = sa.Table(
    "usage",
    metadata,
    sa.Column("owner_id", sa.Uuid, primary_key=True),
    sa.Column("used_bytes", sa.BigInteger, nullable=False),
    sa.Column("pictures", sa.BigInteger, nullable=False),
)

retention = sa.Table(
    "retention",
    metadata,
    sa.Column("only_row", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("days", sa.Integer, nullable=False),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
)

erased_owners = sa.Table(
    "erased_owners",
    metadata,
    sa.Column("owner_hash", sa.LargeBinary, primary_key=True),
    sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
)

shares = sa.Table(
    "shares",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("owner_id", sa.Uuid, nullable=False),
    # Whatever deletes a picture ends its links in the same statement.
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
    sa.Index("shares_token_hash_key", "token_hash", unique=True),
    sa.Index("shares_owner_id_request_id_key", "owner_id", "request_id", unique=True),
    sa.Index("shares_owner_id_id_idx", "owner_id", "id"),
    sa.Index("shares_result_id_id_idx", "result_id", "id"),
)

share_attempts = sa.Table(
    "share_attempts",
    metadata,
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    sa.Index("share_attempts_until_idx", "until"),
)
