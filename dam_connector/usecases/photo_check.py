"""The test of the option `sources` of a DAM: which photos are found, and whose they are."""

from collections.abc import Iterator

from dam_connector.domain.photo_sources import PhotoPlace, place_of
from dam_connector.domain.product import SIGNATURE_BYTES, picture_mime
from dam_connector.errors import Refused
from dam_connector.ports import DamPhoto
from dam_connector.usecases.dam_photos import sources_option
from dam_connector.usecases.photo_sync import photo_supplier
from dam_connector.wiring import Services

MAX_SHOWN = 3  # photos without a product that are named


def check_photos(services: Services, name: str) -> Iterator[str]:
    """List the first photos of a DAM, read one, and yield lines for people about their products.

    Args:
        name: the DAM's name in plugin.json.

    Raises:
        Refused: no photo has an SKU, or a photo cannot be read.
        Unavailable, RateLimited: retry later.
    """
    supplier, sources = photo_supplier(services, name), sources_option(services, name)
    if supplier is None or sources is None:
        raise Refused(name, "sources", "its adapter reads no photos; remove the option sources")
    photos = [change.photo for change in supplier.changed_photos("")[0] if change.photo]
    if not photos:
        yield "photos: none are listed yet; upload one to see which product it belongs to"
        return
    places = [(photo, place_of(photo.facts, sources)) for photo in photos]
    placed = [(photo, place) for photo, place in places if place.sku]
    lost = [f"{photo.facts.name}: {place.problem}" for photo, place in places if place.problem]
    if not placed:
        shown = "; ".join(lost[:MAX_SHOWN])
        raise Refused(name, "sources", f"none of the first {len(photos)} photos has an SKU: {shown}")
    photo = placed[0][0]
    if not picture_mime(supplier.photo_bytes(photo.ref)[:SIGNATURE_BYTES]):
        raise Refused(name, "sources", f"{photo.facts.name} was read, and is no picture that we know")
    yield f"photos: {len(placed)} of the first {len(photos)} have an SKU; {_example(services, *placed[0])}"
    for line in lost[:MAX_SHOWN]:
        yield f"photos: no source: {line}"


def _example(services: Services, photo: DamPhoto, place: PhotoPlace) -> str:
    known = "a product here" if services.products.get(place.sku) else "no product here yet"
    view = place.view or "not said, so by its order"
    return f"{photo.facts.name} can be read and is of {place.sku} ({known}), its view {view}"
