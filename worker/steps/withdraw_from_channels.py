"""Take the version off every channel where it is live."""

from dam_connector.errors import NotFound
from dam_connector.usecases.publish import listing_of, turn_at
from dam_connector.wiring import Services
from worker.work import Work


def withdraw_from_channels(work: Work, services: Services) -> Work:
    """The same work; the version is live nowhere. Reads: version. Raises: Unavailable, RateLimited, Refused."""
    version = services.assets.get(work.draft)
    if version is None:
        raise NotFound("store", "withdraw", work.draft)
    record = services.products.get(work.product.sku)
    product = record.product if record else work.product
    for publication in services.publications.of_version(version.id):
        with turn_at(services, publication.channel, product.sku):
            listing = listing_of(services, publication.channel, product, without=version.asset.id)
            services.channel(publication.channel).sync(listing, services.blobs)
            services.publications.remove(version.asset.id, publication.channel)
    return work
