"""Photos that people upload for a product: checked, stored, and taken as its images."""

from collections.abc import Callable
from dataclasses import replace

from dam_connector.domain.ids import Sha256
from dam_connector.domain.picture_damage import picture_damage
from dam_connector.domain.picture_size import MIN_SIDE_PX, picture_size
from dam_connector.domain.product import (
    SIGNATURE_BYTES,
    Product,
    SourceImage,
    View,
    picture_mime,
    unread_kind,
)
from dam_connector.errors import InputError, Refused
from dam_connector.store.products import ProductRecord
from dam_connector.usecases import intake
from dam_connector.usecases.dam_photos import photo_urls
from dam_connector.usecases.product_intake import IntakeResult
from dam_connector.usecases.source_images import HELD_PREFIX, has_side
from dam_connector.wiring import Services

_REMEDIES = {"HEIC": "JPEG; on an iPhone: Settings, Camera, Formats, Most Compatible"}


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
        InputError: source.not_an_image, source.damaged, source.too_large.
        Refused: a DAM has the photo of this view, so this one would not count.
        StorageUnavailable: there is less free disk than the reserve, or the database does not answer.
    """
    services.disk.require()
    check_picture(data, f"/images/{view}", services.settings.max_picture_bytes)
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


def check_picture(data: bytes, pointer: str, max_bytes: int) -> None:
    """Raise InputError when a file is no picture that can be read, is too large or has too few pixels.

    Args:
        data: the file.
        pointer: the JSON pointer of the field that it is for.
        max_bytes: how many bytes it may have.
    """
    if len(data) > max_bytes:
        message, measured = "The photo is too large.", f"{len(data)} bytes"
        limit = f"{max_bytes} bytes"
        raise InputError("source.too_large", message, pointer=pointer, measured=measured, limit=limit)
    if kind := unread_kind(data[:SIGNATURE_BYTES]):
        limit = _REMEDIES.get(kind, "JPEG, PNG, WebP")
        raise InputError(
            "source.not_an_image", f"The file is {kind}, which is not read.", pointer=pointer, limit=limit
        )
    if damage := picture_damage(data):
        is_picture = not data or picture_mime(data[:SIGNATURE_BYTES])
        raise InputError(
            "source.damaged" if is_picture else "source.not_an_image",
            f"The file {damage}.",
            pointer=pointer,
        )
    size = picture_size(data)
    if size and min(size) < MIN_SIDE_PX:
        raise InputError(
            "source.too_small",
            f"The picture has {size[0]} x {size[1]} pixels.",
            pointer=pointer,
            measured=f"{min(size)} px",
            limit=f"{MIN_SIDE_PX} px",
        )


def held_address(sha256: Sha256) -> str:
    """Return the address of a stored file in a product's record."""
    return f"{HELD_PREFIX}{sha256}"
