"""Variants of results."""

from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from services.results.domain import ResultId, Variant
from services.results.store.tables import results, variants


def find_variant(tx: Connection, result_id: ResultId, media_type: str, width: int) -> Variant | None:
    found = sa.select(variants).where(
        variants.c.result_id == result_id, variants.c.media_type == media_type, variants.c.width == width
    )
    row = tx.execute(found).mappings().one_or_none()
    return Variant(**row) if row else None


def hold_result(tx: Connection, result_id: ResultId) -> bool:
    """Whether it is still there; then it is until the transaction ends."""
    held = sa.select(results.c.id).where(results.c.id == result_id).with_for_update(read=True, key_share=True)
    return tx.execute(held).first() is not None


def add_variant(tx: Connection, variant: Variant) -> bool:
    """Whether it is the first of its kind; if not, nothing is added."""
    added = insert(variants).values(asdict(variant)).on_conflict_do_nothing()
    return tx.execute(added).rowcount == 1


def delete_variant(tx: Connection, store_key: str) -> bool:
    """Whether it was still there."""
    return tx.execute(sa.delete(variants).where(variants.c.store_key == store_key)).rowcount == 1
