"""Rows of sheets in watched folders: as in a bulk upload, a bad photo changes nothing of a known product.

The same row is read again whenever its sheet is saved. So the word `remove` in a cell counts once: a photo
that comes later stays, until the cell was changed and says `remove` again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from dam_connector.domain.product import Product
from dam_connector.domain.unnamed_pictures import removed_pictures, without_pictures
from dam_connector.errors import BadOutput
from dam_connector.usecases.product_intake import IntakeResult, ingest_product
from dam_connector.usecases.row_pictures import try_product
from dam_connector.usecases.row_texts import remedy_text
from dam_connector.usecases.stored_facts import Keep
from dam_connector.wiring import Services

NOT_TAKEN_IN = "The row of the sheet was not taken in"


def ingest_row(
    services: Services,
    product: Product,
    *,
    connection: str,
    ref: str,
    source_time: datetime,
    last_try: bool = True,
    record: Callable[[IntakeResult], object] = lambda _: None,
    **more: Any,
) -> IntakeResult:
    """Take in a row of a sheet; arguments and errors are those of `ingest_product`.

    Raises:
        BadOutput: a photo cannot be used. The product keeps its facts and photos, and is flagged.
    """
    facts = {"connection": connection, "ref": ref, "source_time": source_time, "keep": Keep.ALL, **more}
    known = services.products.get(product.sku)
    if known and known.source_time > source_time:  # the row says nothing any more
        return ingest_product(services, product, last_try=last_try, record=record, **facts)
    note = _note(connection, product.sku)
    said, done = removed_pictures(product), set(services.notes.get(note) or ())
    product = without_pictures(product, said & done)
    fetched, faults = try_product(services, product, connection=connection, last_try=last_try)
    photos = [found for found in faults if found.code.startswith("source.")]
    if photos and known and not known.deleted:
        issues = (replace(found, message=f"{NOT_TAKEN_IN}: {found.message}") for found in photos)
        services.products.add_issues(product.sku, tuple(issues))
        texts = "; ".join(map(remedy_text, photos))
        raise BadOutput(connection, "read", f"{product.sku} keeps its facts and photos: {texts}")

    def record_removals(result: IntakeResult) -> None:
        if said != done:
            services.notes.set(note, sorted(said))
        record(result)

    return ingest_product(
        services, product, last_try=last_try, record=record_removals, fetched=fetched, **facts
    )


def _note(connection: str, sku: str) -> str:
    """Return the name of the note with the removals that a row asked for."""
    return f"removed:{hashlib.sha256(f'{connection} {sku}'.encode()).hexdigest()}"
