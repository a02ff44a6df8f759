"""Withdraw the version from every channel where it is live."""

from dam_connector.usecases.publish import build_listing, lock_listing
from dam_connector.wiring import Services
from worker.work import Work


def withdraw_from_channels(work: Work, services: Services) -> Work:
    """Send each channel the product's listing without this version.

    Reads: version. Adds: nothing.

    Raises:
        Unavailable, RateLimited, Refused: A channel failed.
    """
    version = work.version(services, "withdraw")
    record = services.products.get(work.product.sku)
    product = record.product if record else work.product
    for publication in services.publications.of_version(version.id):
        with lock_listing(services, publication.channel, product.sku):
            listing = build_listing(services, publication.channel, product, excluded=version.asset.id)
            services.channel(publication.channel).sync(listing, services.blobs)
            services.publications.remove(version.asset.id, publication.channel)
    return work
