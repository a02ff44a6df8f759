"""The photos in DAMs that are source images of a product, by view."""

from dam_connector.domain.photo_sources import PhotoSources, read_photo_sources, with_photos
from dam_connector.domain.picture_names import natural_order
from dam_connector.domain.product import Product
from dam_connector.store.source_photos import SourcePhoto
from dam_connector.usecases.source_images import HELD_PREFIX
from dam_connector.wiring import Services
from schemas.image_views import images_by_view


def sources_option(services: Services, dam: str) -> PhotoSources | None:
    """Return the option `sources` of a DAM, or None if its photos are no source images."""
    connection = services.rules.current().dam.get(dam)
    return read_photo_sources(connection.options) if connection else None


def photo_urls(services: Services, sku: str) -> dict[str, str]:
    """Return the addresses of the photos that DAMs have of a product, by view.

    A photo whose view is said by its field or its name has it; of several, the one whose name is first in
    natural order. The others get the free views of the option `order`, the first of the rest is the detail.
    """
    if not any(sources_option(services, dam) for dam in services.rules.current().dam):
        return {}
    found: dict[str, str] = {}
    by_dam: dict[str, list[SourcePhoto]] = {}
    for photo in services.source_photos.of_product(sku):
        by_dam.setdefault(photo.dam, []).append(photo)
    for dam in services.rules.current().dam:
        sources, photos = sources_option(services, dam), by_dam.get(dam, [])
        if sources and photos:
            found = {**_by_view(photos, sources), **found}
    return found


def with_dam_photos(services: Services, product: Product) -> Product:
    """Return a product with the photos that DAMs have of it."""
    return with_photos(product, photo_urls(services, product.sku))


def _by_view(photos: list[SourcePhoto], sources: PhotoSources) -> dict[str, str]:
    said: dict[str, str] = {}
    rest = []
    for photo in sorted(photos, key=lambda each: (natural_order(each.name), each.ref)):
        url = f"{HELD_PREFIX}{photo.sha256}"
        if photo.view and photo.view not in said:
            said[photo.view] = url
        elif not photo.view:
            rest.append((url, photo.name))
    order = [view for view in sources.order if view not in said]
    return {**images_by_view(rest, order), **said}
