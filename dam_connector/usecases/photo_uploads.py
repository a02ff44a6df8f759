"""Photos that people upload for a product: checked, stored, and taken as its images."""

from collections.abc import Callable
from dataclasses import replace

from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import Product, SourceImage, View
from dam_connector.errors import Refused
from dam_connector.store.products import ProductRecord
from dam_connector.usecases import intake
from dam_connector.usecases.dam_photos import photo_urls
from dam_connector.usecases.picture_faults import check_picture
from dam_connector.usecases.product_intake import IntakeResult
from dam_connector.usecases.source_images import HELD_PREFIX, has_side
from dam_connector.wiring import Services


def upload_photo(
    services: Services,
    stored: ProductRecord,
    view: View,
    data: bytes,
    *,
    by: str,
    record: Callable[[IntakeResult], object] = lambda _: None,
) -> IntakeResult:
    """Store a photo that a person uploaded as the product's photo of a view, and make the changed assets.

    Args:
        stored: the product as it is stored.
        view: which side it shows. An earlier photo of this view is replaced.
        data: the file.
        by: who uploaded it.
        record: as in `product_intake.ingest_product`.

    Raises:
        InputError: source.not_an_image, source.damaged, source.too_large, source.too_small.
        Refused: a DAM has the photo of this view, so this one would not count.
        StorageUnavailable: there is less free disk than the reserve, or the database does not answer.
    """
    services.disk.require()
    check_picture(services.settings, data, f"/images/{view}")
    if view.value in photo_urls(services, stored.product.sku):
        raise Refused("product", "photo", f"the photo {view} comes from the DAM; replace it there")
    uploaded = SourceImage(view=view, url=held_address(services.blobs.put(data)))
    others = [image for image in _shown_images(stored.product) if image.view is not view]
    images = sorted([*others, uploaded], key=lambda image: list(View).index(image.view))
    product = replace(stored.product, images=tuple(images))
    return intake.edit_product(services, stored, product, by=by, record=record)


def _shown_images(product: Product) -> tuple[SourceImage, ...]:
    """Return a product's photos; the first picture of a spin or walk, where it is the front for want of any.

    It would be no photo any more as soon as there is one of another view.
    """
    captured = (*product.spin_images, *product.walk_images)
    if not captured or has_side([image.view.value for image in product.images]):
        return product.images
    return (SourceImage(view=View.FRONT, url=captured[0]), *product.images)


def held_address(sha256: Sha256) -> str:
    """Return the address of a stored file in a product's record."""
    return f"{HELD_PREFIX}{sha256}"
