"""What each picture was painted from. Pictures that are older say nothing of it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

COLUMNS = {
    "model": sa.Text,
    "prompt": sa.Text,
    "negative_prompt": sa.Text,
    "asked_width": sa.Integer,
    "asked_height": sa.Integer,
    "steps": sa.Integer,
    "cfg": sa.Double,
    "seed": sa.BigInteger,
    "count": sa.Integer,
    "engine": sa.Text,
}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        unknown = "" if kind is sa.Text else "0"
        op.add_column("results", sa.Column(name, kind, nullable=False, server_default=unknown))
        op.alter_column("results", name, server_default=None)
