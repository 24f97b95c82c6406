"""The models that the executor told of.

One without a position is no longer installed: neither listed nor known, but the operator's switch `is_active` is kept
for its return.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.dialects import postgresql as pg

from services.generation.catalogue import Availability, Defaults, Limits, LocalizedText, Model, Range
from services.generation.store.tables import models
from services.runtime.ids import uuid7


def is_catalogue_known(tx: Connection) -> bool:
    """Whether the executor has ever told which models there are."""
    return bool(tx.execute(sa.select(sa.exists(sa.select(models.c.id)))).scalar())


def get_model(tx: Connection, name: str) -> Model | None:
    row = tx.execute(sa.select(models).where(models.c.name == name, models.c.position.is_not(None))).first()
    return _model(row) if row else None


def list_models(tx: Connection) -> list[Model]:
    """In order of display."""
    query = sa.select(models).where(models.c.position.is_not(None)).order_by(models.c.position)
    return [_model(row) for row in tx.execute(query)]


def save_catalogue(tx: Connection, told: Sequence[Model], now: datetime) -> None:
    """Make the table say what the executor told, in its order; the switches stay. Writes only what differs."""
    known = {row.name: row for row in tx.execute(sa.select(models).order_by(models.c.name).with_for_update())}
    for position, model in sorted(enumerate(told), key=lambda item: item[1].name):
        columns = {**_columns(model), "position": position}
        row = known.pop(model.name, None)
        if row is None or any(getattr(row, name) != value for name, value in columns.items()):
            columns["updated_at"] = now
            insert = pg.insert(models).values(id=uuid7(), **columns)
            tx.execute(insert.on_conflict_do_update(index_elements=[models.c.name], set_=columns))
    gone = [row.id for row in known.values() if row.position is not None]
    if gone:
        tx.execute(sa.update(models).where(models.c.id.in_(gone)).values(position=None, updated_at=now))


def _columns(model: Model) -> dict[str, Any]:
    columns = asdict(model)
    del columns["is_active"]
    return columns


def _model(row: Row[Any]) -> Model:
    limits = row.limits
    return Model(
        name=row.name,
        display_name=LocalizedText(**row.display_name),
        description=LocalizedText(**row.description),
        license=row.license,
        limits=Limits(
            width=Range(**limits["width"]),
            height=Range(**limits["height"]),
            size_multiple=limits["size_multiple"],
            max_pixels=limits["max_pixels"],
            steps=Range(**limits["steps"]),
            cfg=limits["cfg"] and Range(**limits["cfg"]),
            count=Range(**limits["count"]),
        ),
        defaults=Defaults(**row.defaults),
        negative_prompt_supported=row.negative_prompt_supported,
        availability=Availability(row.availability),
        unavailable_reason=row.unavailable_reason,
        is_active=row.is_active,
    )
