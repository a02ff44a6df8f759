"""Changes of a known product by a row of a sheet: pictures that go away or stay, emptied facts."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dam_connector.domain.product import Dimensions, Product
from dam_connector.domain.unnamed_pictures import picture_changes
from dam_connector.store.batch_records import NewBatchRow
from dam_connector.store.products import ProductRecord
from dam_connector.usecases.row_texts import column_at
from dam_connector.usecases.source_images import HELD_PREFIX
from dam_connector.usecases.stored_facts import Keep, merged_facts

_FACTS = {
    "name": "name",
    "category": "category",
    "brand": "brand",
    "color": "color",
    "material": "material",
    "description": "description",
    "style_tags": "style tags",
    "dimensions": "size",
    "parent": "parent",
    "live_from": "live from",
    "live_until": "live until",
}
_WORDS = {
    "spin_images": "spin",
    "walk_images": "walk",
    "inspiration_image": "inspiration image",
    "model_url": "model",
    "swatch": "swatch",
}


def with_known(row: NewBatchRow, known: ProductRecord | None, mapping: Mapping[str, str]) -> NewBatchRow:
    """Return a row whose product has the pictures that stay, and which names its changes.

    Args:
        row: the row with the product as the row alone says it.
        known: the product as it is stored; None: it is new.
        mapping: the sheet's column names by ours.
    """
    said = row.as_read
    if said is None:
        return row
    product = merged_facts(said, known, Keep.ALL)
    row = replace(row, product=product)
    if known is None or known.deleted:
        return row
    unsaid = [c.pointer for c in picture_changes(known.product, said) if not c.now]
    return replace(
        row,
        gone=tuple(_losses(known.product, product, mapping)),
        staying=tuple(mapping[c] for at in unsaid if (c := column_at(at)) in mapping),
        emptied=tuple(_emptied(known.product, product)),
    )


def _losses(known: Product, new: Product, mapping: Mapping[str, str]) -> Iterator[str]:
    """Yield the pictures that a product loses: those that are removed, and uploads that are replaced."""
    for change in picture_changes(known, new):
        is_upload = change.was.startswith(HELD_PREFIX)
        if change.now and not is_upload:
            continue
        column = column_at(change.pointer)
        name = change.pointer.removeprefix("/images/")
        what = _WORDS.get(name.strip("/")) or f"photo of the {name}"
        done = "replaced" if change.now else "removed"
        yield f"{mapping.get(column, column)}: the {'uploaded ' if is_upload else ''}{what} is {done}"


def _emptied(known: Product, new: Product) -> Iterator[str]:
    """Yield the facts that a product has and a row empties."""
    nothing = (None, "", Dimensions())
    for field, words in _FACTS.items():
        if getattr(known, field) not in nothing and getattr(new, field) in nothing:
            yield words
    yield from sorted(set(known.attributes) - set(new.attributes))
    if known.translations and not new.translations:
        yield "translations"
