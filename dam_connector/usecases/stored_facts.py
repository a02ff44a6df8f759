"""Facts of products as they are stored: pictures that they do not name may outlive them."""

from datetime import datetime
from enum import StrEnum

from dam_connector.domain.product import Product
from dam_connector.domain.unnamed_pictures import with_unnamed, without_removed
from dam_connector.store.products import ProductRecord
from dam_connector.usecases.source_images import HELD_PREFIX
from dam_connector.wiring import Services


class Keep(StrEnum):
    """Which of a product's pictures and models stay when newer facts name none in their place."""

    NONE = "none"  # the facts say all, e.g. those of a form
    UPLOADED = "uploaded"  # those that people uploaded, e.g. at an update of the PIM
    ALL = "all"  # a row of a sheet: an empty cell says nothing


def store_facts(
    services: Services,
    product: Product,
    connection: str,
    ref: str,
    source_time: datetime,
    *,
    keep: Keep,
) -> Product | None:
    """Store a product's facts; return them as stored, or None when newer ones are.

    Args:
        connection: the PIM's name in plugin.json; empty for products that people add.
        ref: the PIM's reference of the product.
        source_time: when the product changed at its source.
        keep: which pictures and models stay that these facts do not name.
    """
    with services.transaction():
        known = services.products.lock(product.sku) if keep is not Keep.NONE else None
        product = merged_facts(product, known, keep)
        done = services.products.upsert(product, connection=connection, ref=ref, source_time=source_time)
    return product if done else None


def merged_facts(product: Product, known: ProductRecord | None, keep: Keep) -> Product:
    """Return newer facts of a product with the pictures and models that stay.

    Args:
        product: the facts, with the word in place of pictures that go away.
        known: the product as it is stored, or None.
        keep: which ones stay. Of a deleted product only those that people uploaded do.
    """
    if known and keep is not Keep.NONE:
        keeps_all = keep is Keep.ALL and not known.deleted
        product = with_unnamed(product, known.product, lambda url: keeps_all or url.startswith(HELD_PREFIX))
    return without_removed(product)
