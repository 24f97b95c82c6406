"""Where a picture stands among its owner's, and so among which terms it is looked for.

An owner's pictures are counted in the order of their ids, oldest first, and SHELF of them in a row stand on one shelf.
The terms of `words` name the shelf, so a search goes from shelf to shelf, newest first, until its page is full. What a
shelf costs is bounded, however common a word is and however rarely two come together, and PostgreSQL's GIN index,
which knows no order, need not be read beyond that.

Pictures that are deleted leave gaps; they do not move the others.
"""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection

from services.results.domain import OwnerId, ResultId
from services.results.store.tables import results

SHELF = 1024
"""A common word means reading half a shelf's rows; a word that is nowhere, a look at each shelf."""

FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)
"""Before and after all that are made."""


def shelf_of(ordinal: int) -> int:
    return ordinal // SHELF


def between(source: sa.FromClause) -> sa.ColumnElement[bool]:
    """The results of `owner_id` from the id `first` on and before the id `before`: all three are parameters.

    One range of the index by owner and id, to be read in its order (`newest_first`): told of an owner and an order by
    id alone, the planner may take the index by id, and look for somebody's old pictures among everybody's new ones.
    """
    owner_id, first, before = (sa.bindparam(name, type_=sa.Uuid) for name in ("owner_id", "first", "before"))
    place = sa.tuple_(source.c.owner_id, source.c.id)
    return sa.and_(place >= sa.tuple_(owner_id, first), place < sa.tuple_(owner_id, before))


def newest_first(source: sa.FromClause) -> tuple[sa.ColumnElement[object], sa.ColumnElement[object]]:
    return source.c.owner_id.desc(), source.c.id.desc()


_ONE = sa.select(results.c.ordinal).where(between(results)).limit(1)
_NEWEST = _ONE.order_by(*newest_first(results))
_OLDEST = _ONE.order_by(results.c.owner_id, results.c.id)
_ENDS = sa.select(_NEWEST.scalar_subquery(), _OLDEST.scalar_subquery())


def next_ordinal(tx: Connection, owner_id: OwnerId, result_id: ResultId) -> int:
    """For a new result of an owner who is locked: never less than that of an older id, nor more than of a newer one.

    Ids are made before the bytes are written, so that one may come behind its time; it then shares the ordinal of the
    one that it comes before.
    """
    later = tx.execute(_OLDEST, {"owner_id": owner_id, "first": result_id, "before": LAST}).scalar_one_or_none()
    if later is not None:
        return int(later)
    newest = tx.execute(_NEWEST, {"owner_id": owner_id, "first": FIRST, "before": LAST}).scalar_one_or_none()
    return 0 if newest is None else newest + 1


def shelves_between(tx: Connection, owner_id: OwnerId, first: UUID, before: UUID) -> Sequence[int]:
    """Where the owner's results from one id on and before another stand, newest first."""
    newest, oldest = tx.execute(_ENDS, {"owner_id": owner_id, "first": first, "before": before}).one()
    return [] if newest is None else range(shelf_of(newest), shelf_of(oldest) - 1, -1)
