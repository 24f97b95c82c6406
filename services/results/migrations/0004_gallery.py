"""What a gallery is searched by. Pictures that have no recipe are found by their date and by being favorites."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("results", sa.Column("favorite", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("results", sa.Column("ordinal", sa.Integer, nullable=False, server_default="0"))
    op.add_column("results", sa.Column("words", TSVECTOR, nullable=False, server_default=""))
    for name in ("favorite", "ordinal", "words"):
        op.alter_column("results", name, server_default=None)
    op.execute(
        "UPDATE results SET ordinal = numbered.ordinal - 1 FROM"
        " (SELECT id, row_number() OVER (PARTITION BY owner_id ORDER BY id) AS ordinal FROM results) numbered"
        " WHERE numbered.id = results.id"
    )
    # Without fastupdate: a search probes once for each shelf, and would read the whole pending list each time.
    op.create_index(
        "results_words_idx", "results", ["words"], postgresql_using="gin", postgresql_with={"fastupdate": "off"}
    )
