"""What auth must be able to read and nobody else: signing keys and named secrets, encrypted."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from services.auth.domain import SigningKey
from services.auth.store.tables import secrets, signing_keys


def lock_secrets(tx: Connection) -> None:
    """Until the transaction ends, no other process decides whether one is missing, or changes one."""
    tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("imagegen signing keys"))))


def find_signing_key(tx: Connection) -> SigningKey | None:
    """The key to sign with: the newest that is not retired."""
    found = sa.select(signing_keys).where(signing_keys.c.retired_at.is_(None)).order_by(signing_keys.c.id.desc())
    row = tx.execute(found.limit(1)).mappings().one_or_none()
    return SigningKey(**row) if row else None


def add_signing_key(tx: Connection, key: SigningKey) -> None:
    tx.execute(sa.insert(signing_keys).values(asdict(key)))


def retire_signing_keys(tx: Connection, now: datetime) -> None:
    tx.execute(sa.update(signing_keys).where(signing_keys.c.retired_at.is_(None)).values(retired_at=now))


def list_signing_keys(tx: Connection, *, retired_after: datetime) -> list[SigningKey]:
    """Those that are not retired or were after this moment, newest first."""
    listed = sa.or_(signing_keys.c.retired_at.is_(None), signing_keys.c.retired_at > retired_after)
    found = sa.select(signing_keys).where(listed).order_by(signing_keys.c.id.desc())
    return [SigningKey(**row) for row in tx.execute(found).mappings()]


def remove_signing_keys(tx: Connection, *, retired_before: datetime) -> None:
    tx.execute(sa.delete(signing_keys).where(signing_keys.c.retired_at <= retired_before))


def find_secret(tx: Connection, name: str) -> bytes | None:
    """As it is kept: encrypted."""
    return tx.execute(sa.select(secrets.c.value_encrypted).where(secrets.c.name == name)).scalar_one_or_none()


def add_secret(tx: Connection, name: str, value_encrypted: bytes) -> None:
    tx.execute(sa.insert(secrets).values(name=name, value_encrypted=value_encrypted))


def rewrite_secrets(tx: Connection, rewrite: Callable[[bytes], bytes]) -> int:
    """Put what `rewrite` makes of each encrypted value in its place. Returns how many there are."""
    columns = [(signing_keys.c.id, signing_keys.c.private_key_encrypted), (secrets.c.name, secrets.c.value_encrypted)]
    rewritten = 0
    for key, value in columns:
        for row in tx.execute(sa.select(key, value)).all():
            tx.execute(sa.update(key.table).where(key == row[0]).values({value.name: rewrite(row[1])}))
            rewritten += 1
    return rewritten
