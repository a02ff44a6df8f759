"""Facts of products as they are stored: what people uploaded outlives what a PIM sends."""

from dataclasses import replace
from datetime import datetime

from dam_connector.domain.product import Product
from dam_connector.usecases.source_images import HELD_PREFIX
from dam_connector.wiring import Services


def store_facts(
    services: Services,
    product: Product,
    connection: str,
    ref: str,
    source_time: datetime,
    *,
    keep_model: bool,
) -> Product | None:
    """Store a product's facts; return them as stored, or None when newer ones are.

    Args:
        connection: the PIM's name in plugin.json; empty for products that people add.
        ref: the PIM's reference of the product.
        source_time: when the product changed at its source.
        keep_model: a model that a person uploaded stays when these facts name none.
    """
    with services.transaction():
        if keep_model and not product.model_url:
            known = services.products.lock(product.sku)
            if known and known.product.model_url.startswith(HELD_PREFIX):
                product = replace(product, model_url=known.product.model_url)
        done = services.products.upsert(product, connection=connection, ref=ref, source_time=source_time)
    return product if done else None
