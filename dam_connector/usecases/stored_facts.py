"""Facts of products as they are stored: what people uploaded outlives what a PIM sends."""

from dataclasses import replace
from datetime import datetime

from dam_connector.domain.product import Capture, Product
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
        keep_model: a model, spin or walk that a person uploaded stays when these facts name none.
    """
    with services.transaction():
        if keep_model and (known := services.products.lock(product.sku)):
            product = _with_uploads(product, known.product)
        done = services.products.upsert(product, connection=connection, ref=ref, source_time=source_time)
    return product if done else None


def _with_uploads(product: Product, known: Product) -> Product:
    """Return new facts of a product with the model, spin and walk that were uploaded and that they lack."""
    names = ("model_url", *(kind.field_name for kind in Capture))
    uploaded = {}
    for name in names:
        value = getattr(known, name)
        first = value if isinstance(value, str) else next(iter(value), "")
        if first.startswith(HELD_PREFIX) and not getattr(product, name):
            uploaded[name] = value
    return replace(product, **uploaded)
