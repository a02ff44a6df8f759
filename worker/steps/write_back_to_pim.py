"""Tell the PIM what is live, where it wants to know: the AR page's address, and whether anything is published."""

from dam_connector.errors import ConfigError, NotFound
from dam_connector.wiring import Services
from worker.work import Work


def write_back_to_pim(work: Work, services: Services) -> Work:
    """The same work. Reads: product. Raises: Unavailable, RateLimited, Refused. A product that its PIM no longer has is not told of."""
    record = services.products.get(work.product.sku)
    if record is None or not record.connection or record.deleted:
        return work
    try:
        source = services.pim(record.connection)
    except ConfigError:
        return work  # its connection was taken out of plugin.json
    if source.capabilities.can_write_back:
        live = services.publications.of_product(work.product.sku)
        page = next((p.url for p in live if "/ar/" in p.url), "")
        try:
            source.write_back(record.ref, {"ar_url": page, "status": "published" if live else "withdrawn"})
        except NotFound:
            return work
    return work
