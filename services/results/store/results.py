"""Results, and what must not become one."""

from collections.abc import Collection
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, RowMapping
from sqlalchemy.dialects.postgresql import TSVECTOR, insert

from services.results import words
from services.results.domain import OwnerId, Recipe, Result, ResultId, ResultNotFound, TaskId
from services.results.store.retention import expires_at
from services.results.store.shelves import next_ordinal, shelf_of
from services.results.store.tables import results, tombstones
from services.results.store.usage import add_usage

_OWN_FIELDS = [field.name for field in fields(Result) if field.name not in ("recipe", "expires_at")]
_RECIPE_COLUMNS = {field.name: field.name for field in fields(Recipe)} | {
    "width": "asked_width",
    "height": "asked_height",
}
"""Field of the recipe → its column; a picture's own width and height are what came of them."""
READ = [results.c[name] for name in (*_OWN_FIELDS, *_RECIPE_COLUMNS.values(), "let_go_at")]
"""All but what results are searched by."""
_RESULTS = sa.select(*READ, expires_at(results))


def find_result(tx: Connection, task_id: TaskId, index: int) -> Result | None:
    found = _RESULTS.where(results.c.task_id == task_id, results.c.index == index)
    row = tx.execute(found).mappings().one_or_none()
    return to_result(row) if row else None


def is_discarded(tx: Connection, task_id: TaskId, index: int) -> bool:
    this_or_all = sa.or_(tombstones.c.index == index, tombstones.c.index.is_(None))
    found = sa.select(tombstones.c.task_id).where(tombstones.c.task_id == task_id, this_or_all)
    return tx.execute(found).first() is not None


def add_result(tx: Connection, result: Result) -> None:
    """Of an owner who is locked."""
    ordinal = next_ordinal(tx, result.owner_id, result.id)
    mark = words.mark(result.owner_id, shelf_of(ordinal))
    terms = words.vector(mark, result.recipe.prompt, result.recipe.model, favorite=result.favorite)
    columns = {**_columns(result), "let_go_at": result.created_at, "ordinal": ordinal}
    tx.execute(sa.insert(results).values(**columns, words=sa.cast(terms, TSVECTOR)))
    add_usage(tx, result.owner_id, result.size_bytes)


def get_result(tx: Connection, owner_id: OwnerId, result_id: ResultId) -> Result:
    """Raises ResultNotFound, also if it is somebody else's."""
    return _one(tx, results.c.owner_id == owner_id, results.c.id == result_id)


def get_linked_result(tx: Connection, result_id: ResultId) -> Result:
    """For who has shown a link of this result. Raises ResultNotFound."""
    return _one(tx, results.c.id == result_id)


def list_of_tasks(tx: Connection, owner_id: OwnerId, task_ids: Collection[TaskId]) -> list[Result]:
    """By task and index."""
    found = _RESULTS.where(results.c.owner_id == owner_id, results.c.task_id.in_(task_ids)).order_by(
        results.c.task_id, results.c.index
    )
    return [to_result(row) for row in tx.execute(found).mappings()]


def list_some(tx: Connection, owner_id: OwnerId, result_ids: Collection[ResultId]) -> list[Result]:
    """Those that are there, newest first."""
    found = _RESULTS.where(results.c.owner_id == owner_id, results.c.id.in_(result_ids))
    found = found.order_by(results.c.id.desc())
    return [to_result(row) for row in tx.execute(found).mappings()]


def add_tombstone(tx: Connection, owner_id: OwnerId, task_id: TaskId, index: int | None, now: datetime) -> None:
    """For one picture of the task, or (None) for all of them."""
    values = {"task_id": task_id, "index": index, "owner_id": owner_id, "created_at": now}
    tx.execute(insert(tombstones).values(values).on_conflict_do_nothing())


def _one(tx: Connection, *conditions: sa.ColumnElement[bool]) -> Result:
    row = tx.execute(_RESULTS.where(*conditions)).mappings().one_or_none()
    if row is None:
        raise ResultNotFound
    return to_result(row)


def _columns(result: Result) -> dict[str, Any]:
    recipe = asdict(result.recipe)
    own = {name: getattr(result, name) for name in _OWN_FIELDS}
    return own | {column: recipe[name] for name, column in _RECIPE_COLUMNS.items()}


def to_result(row: RowMapping) -> Result:
    recipe = Recipe(**{name: row[column] for name, column in _RECIPE_COLUMNS.items()})
    return Result(**{name: row[name] for name in _OWN_FIELDS}, recipe=recipe, expires_at=row["expires_at"])
