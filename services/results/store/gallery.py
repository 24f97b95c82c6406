"""A person's pictures, found and marked. The statements are put together once: that costs more than most searches."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY

from services.results import words
from services.results.domain import Filter, OwnerId, Result, ResultId, ResultNotFound
from services.results.store.results import READ, to_result
from services.results.store.retention import expires_at
from services.results.store.shelves import FIRST, LAST, between, newest_first, shelf_of, shelves_between
from services.results.store.tables import results
from services.runtime.ids import first_uuid7

_SKEW = 3_600_000
"""Milliseconds. Ids are made just before `created_at` is read, by one clock, which nobody sets by more meanwhile."""


def _page(source: sa.FromClause) -> sa.Select[Any]:
    """The page that the parameters bound, if the source has nothing but what is searched for. When a result expires
    is asked once the page is known.
    """
    columns = [source.c[column.name] for column in READ]
    return (
        sa.select(*columns)
        .where(
            between(source),
            source.c.created_at >= sa.bindparam("created_from"),
            source.c.created_at < sa.bindparam("created_before"),
        )
        .order_by(*newest_first(source))
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )


def _page_on_shelves() -> sa.Select[Any]:
    """A page of one shelf after another, until there are enough."""
    shelf = (
        sa.func.unnest(sa.bindparam("terms", type_=ARRAY(TSQUERY)))
        .table_valued(sa.column("terms", TSQUERY), with_ordinality="place")
        .render_derived(name="shelf")
    )
    # The offset makes the planner ask the terms' index and no other. It cannot know the terms, guesses that they find
    # five in a thousand of all rows, and would read the index of the owner's results as well, each time.
    wanted = sa.select(*READ).where(results.c.words.bool_op("@@")(shelf.c.terms)).offset(0)
    page = _page(wanted.correlate(shelf).lateral("found")).lateral("page")
    pages = sa.select(page, expires_at(page)).select_from(shelf.join(page, sa.true()))
    return pages.order_by(shelf.c.place, page.c.id.desc()).limit(sa.bindparam("limit", type_=sa.Integer))


_PAGE = _page(results).add_columns(expires_at(results))
_PAGE_ON_SHELVES = _page_on_shelves()


def list_gallery(tx: Connection, owner_id: OwnerId, wanted: Filter, *, before: UUID | None, limit: int) -> list[Result]:
    """The owner's results that are wanted, newest first (ids are UUIDv7 and sort by time), after `before`."""
    first, before = FIRST, before or LAST
    if wanted.created_from is not None:
        first = first_uuid7(_milliseconds(wanted.created_from) - _SKEW)
    if wanted.created_before is not None:
        before = min(before, first_uuid7(_milliseconds(wanted.created_before) + _SKEW))
    parameters = {
        "owner_id": owner_id,
        "first": first,
        "before": before,
        "created_from": wanted.created_from or datetime.min.replace(tzinfo=UTC),
        "created_before": wanted.created_before or datetime.max.replace(tzinfo=UTC),
        "limit": limit,
    }
    search = words.Search(wanted.text, wanted.model, favorite=wanted.favorite)
    if search.is_hopeless:
        return []
    if search:
        shelves = shelves_between(tx, owner_id, first, before)
        terms = [search.query(words.mark(owner_id, shelf)) for shelf in shelves]
        found = tx.execute(_PAGE_ON_SHELVES, {**parameters, "terms": terms})
    else:
        found = tx.execute(_PAGE, parameters)
    return [to_result(row) for row in found.mappings()]


def set_favorite(tx: Connection, owner_id: OwnerId, result_id: ResultId, now: datetime, *, favorite: bool) -> None:
    """Raises ResultNotFound."""
    mine = (results.c.owner_id == owner_id, results.c.id == result_id)
    ordinal = tx.execute(sa.select(results.c.ordinal).where(*mine).with_for_update()).scalar_one_or_none()
    if ordinal is None:
        raise ResultNotFound
    mark = words.mark(owner_id, shelf_of(ordinal))
    former, latter = (words.favorite_term(mark, favorite=is_one) for is_one in (not favorite, favorite))
    without = sa.func.ts_delete(results.c.words, sa.cast(former, sa.Text))
    marked = without.op("||")(sa.func.array_to_tsvector(sa.cast([latter], ARRAY(sa.Text))))
    changed = sa.update(results).where(*mine, results.c.favorite != favorite)
    tx.execute(changed.values(favorite=favorite, words=marked, let_go_at=now))


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
