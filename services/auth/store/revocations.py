"""What ends tokens before their time, written in the transaction that ends their session or key."""

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql as pg

from services.auth.domain import REVOCATION_LIFETIME
from services.auth.store.tables import revocations


def revoke(tx: Connection, ended: sa.UpdateBase, now: datetime) -> None:
    """Every token of the sessions or keys whose ids this statement returns."""
    sids = ended.cte("ended")
    rows = sa.select(sids.c.id, sa.literal(now + REVOCATION_LIFETIME))
    written = pg.insert(revocations).from_select(["sid", "expires_at"], rows)
    tx.execute(written.on_conflict_do_nothing())


def list_revocations(tx: Connection, now: datetime, *, written_within: timedelta | None) -> dict[UUID, datetime]:
    """Those that still matter, with their expiry: all, or the youngest by the database's clock."""
    found = sa.select(revocations.c.sid, revocations.c.expires_at).where(revocations.c.expires_at > now)
    if written_within is not None:
        found = found.where(revocations.c.written_at > sa.func.now() - written_within)
    return {row.sid: row.expires_at for row in tx.execute(found)}


def remove_expired_revocations(tx: Connection, now: datetime) -> None:
    tx.execute(sa.delete(revocations).where(revocations.c.expires_at <= now))
