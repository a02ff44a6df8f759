"""Write the product's status and the address of its AR page back into PIMs that accept them."""

from contextlib import suppress

from dam_connector.errors import ConfigError, NotFound
from dam_connector.wiring import Services
from worker.work import Work


def write_back_to_pim(work: Work, services: Services) -> Work:
    """Write the product's status back. Skip a product that its PIM no longer has.

    Reads: product. Adds: nothing.

    Raises:
        Unavailable, RateLimited, Refused: The PIM failed.
    """
    record = services.products.get(work.product.sku)
    if record is None or not record.connection or record.deleted:
        return work
    try:
        source = services.pim(record.connection)
    except ConfigError:
        return work  # its connection was taken out of plugin.json
    if source.capabilities.can_write_back:
        live = services.publications.of_product(work.product.sku)
        page = next((p.url for p in live if p.channel in _viewers(services)), "")
        with suppress(NotFound):
            source.write_back(record.ref, {"ar_url": page, "status": "published" if live else "withdrawn"})
    return work


def _viewers(services: Services) -> set[str]:
    """Return the names of the channels that are our AR page."""
    channels = services.rules.current().channel
    return {name for name, connection in channels.items() if connection.adapter == "viewer"}
