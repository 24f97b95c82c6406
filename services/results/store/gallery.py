"""A person's pictures, found and marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY

from services.results import words
from services.results.domain import Filter, OwnerId, Result, ResultId, ResultNotFound
from services.results.store.results import READ, to_result
from services.results.store.shelves import FIRST, LAST, between, newest_first, shelf_of, shelves_between
from services.results.store.tables import results
from services.runtime.ids import first_uuid7

_SKEW = 3_600_000
"""Milliseconds. Ids are made just before `created_at` is read, by one clock, which nobody sets by more meanwhile."""


def list_gallery(tx: Connection, owner_id: OwnerId, wanted: Filter, *, before: UUID | None, limit: int) -> list[Result]:
    """The owner's results that are wanted, newest first (ids are UUIDv7 and sort by time), after `before`."""
    page = _Page(owner_id, wanted, before, limit)
    search = words.Search(wanted.text, wanted.model, favorite=wanted.favorite)
    if search.is_hopeless:
        return []
    query = page.on(shelves_between(tx, owner_id, *page.ids), search) if search else page.of(results)
    return [to_result(row) for row in tx.execute(query).mappings()]


def set_favorite(tx: Connection, owner_id: OwnerId, result_id: ResultId, *, favorite: bool) -> None:
    """Raises ResultNotFound."""
    mine = (results.c.owner_id == owner_id, results.c.id == result_id)
    ordinal = tx.execute(sa.select(results.c.ordinal).where(*mine).with_for_update()).scalar_one_or_none()
    if ordinal is None:
        raise ResultNotFound
    mark = words.mark(owner_id, shelf_of(ordinal))
    former, now = (words.favorite_term(mark, favorite=is_one) for is_one in (not favorite, favorite))
    without = sa.func.ts_delete(results.c.words, sa.cast(former, sa.Text))
    marked = without.op("||")(sa.func.array_to_tsvector(sa.cast([now], ARRAY(sa.Text))))
    changed = sa.update(results).where(*mine, results.c.favorite != favorite)
    tx.execute(changed.values(favorite=favorite, words=marked))


@dataclass(frozen=True)
class _Page:
    owner_id: OwnerId
    wanted: Filter
    before: UUID | None
    limit: int

    @property
    def ids(self) -> tuple[UUID, UUID]:
        """Of the pictures in question: from the one on and before the other, wide enough for every clock."""
        first, before = FIRST, self.before or LAST
        if self.wanted.created_from is not None:
            first = first_uuid7(_milliseconds(self.wanted.created_from) - _SKEW)
        if self.wanted.created_before is not None:
            before = min(before, first_uuid7(_milliseconds(self.wanted.created_before) + _SKEW))
        return first, before

    def of(self, source: sa.FromClause) -> sa.Select[Any]:
        """The page, if the source has nothing but what is searched for."""
        conditions = [between(source, self.owner_id, *self.ids)]
        if self.wanted.created_from is not None:
            conditions.append(source.c.created_at >= self.wanted.created_from)
        if self.wanted.created_before is not None:
            conditions.append(source.c.created_at < self.wanted.created_before)
        columns = [source.c[column.name] for column in READ]
        return sa.select(*columns).where(*conditions).order_by(*newest_first(source)).limit(self.limit)

    def on(self, shelves: Sequence[int], search: words.Search) -> sa.Select[Any]:
        """The page of what is searched for: a page of one shelf after another, until there are enough."""
        terms = [search.query(words.mark(self.owner_id, shelf)) for shelf in shelves]
        shelf = (
            sa.func.unnest(sa.cast(terms, ARRAY(TSQUERY)))
            .table_valued(sa.column("terms", TSQUERY), with_ordinality="place")
            .render_derived(name="shelf")
        )
        # The offset makes the planner ask the terms' index and no other. It cannot know the terms, guesses that they
        # find five in a thousand of all rows, and would read the index of the owner's results as well, each time.
        found = (
            sa.select(*READ)
            .where(results.c.words.bool_op("@@")(shelf.c.terms))
            .offset(0)
            .correlate(shelf)
            .lateral("found")
        )
        page = self.of(found).lateral("page")
        pages = sa.select(page).select_from(shelf.join(page, sa.true()))
        return pages.order_by(shelf.c.place, page.c.id.desc()).limit(self.limit)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
