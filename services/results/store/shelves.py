"""Where a picture stands among its owner's, and so among which terms it is looked for.

An owner's pictures are counted in the order of their ids, oldest first, and SHELF of them in a row stand on one shelf.
The terms of `words` name the shelf, so a search goes from shelf to shelf, newest first, until its page is full. What a
shelf costs is bounded, however common a word is and however rarely two come together, and PostgreSQL's GIN index,
which knows no order, need not be read beyond that.

Pictures that are deleted leave gaps; they do not move the others.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from services.results.domain import OwnerId, ResultId
from services.results.store.tables import results

SHELF = 2048
"""A common word means reading half a shelf's rows; a word that is nowhere, a look at each shelf."""


def shelf_of(ordinal: int) -> int:
    return ordinal // SHELF


def next_ordinal(tx: Connection, owner_id: OwnerId, result_id: ResultId) -> int:
    """For a new result of an owner who is locked: never less than that of an older id, nor more than of a newer one.

    Ids are made before the bytes are written, so that one may come behind its time; it then shares its ordinal.
    """
    mine = sa.select(results.c.ordinal).where(results.c.owner_id == owner_id)
    later = mine.where(results.c.id > result_id).order_by(results.c.id).limit(1)
    newest = mine.order_by(results.c.id.desc()).limit(1)
    row = tx.execute(sa.select(later.scalar_subquery(), newest.scalar_subquery() + 1)).one()
    return next((ordinal for ordinal in row if ordinal is not None), 0)


def shelves_between(tx: Connection, *conditions: sa.ColumnElement[bool]) -> Sequence[int]:
    """Those where the results stand that pass the conditions, which bound ids, newest first."""
    some = sa.select(results.c.ordinal).where(*conditions).limit(1)
    ends = [some.order_by(order).scalar_subquery() for order in (results.c.id.desc(), results.c.id)]
    newest, oldest = tx.execute(sa.select(*ends)).one()
    return [] if newest is None else range(shelf_of(newest), shelf_of(oldest) - 1, -1)
