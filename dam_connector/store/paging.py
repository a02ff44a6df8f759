"""Long lists of values, read a page at a time, so that no transaction stays open while they are used."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from dam_connector.store.database import Database

PAGE_SIZE = 500


def ordered_values(db: Database, query: sa.Select[Any], column: sa.Column[Any]) -> Iterator[str]:
    """Yield the values of a text column that a query selects, each once, in order.

    Args:
        db: The database.
        query: Selects the column alone.
        column: The column.
    """
    last = ""
    while True:
        page = query.where(column > last).distinct().order_by(column).limit(PAGE_SIZE)
        with db.read() as c:
            found = list(c.execute(page).scalars())
        yield from found
        if len(found) < PAGE_SIZE:
            return
        last = found[-1]
