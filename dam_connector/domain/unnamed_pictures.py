"""Pictures and models that stay with a product when newer facts name none in their place.

A row of a sheet takes a picture away by the word `REMOVE` in its cell; an empty cell says nothing about it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from dam_connector.domain.product import Capture, Product, View

REMOVE = "remove"  # in the cell of a picture, in place of an address: the product has none any more
_TEXT_FIELDS = ("inspiration_image", "model_url", "swatch")
_CAPTURE_FIELDS = tuple(kind.field_name for kind in Capture)


@dataclass(frozen=True, slots=True)
class PictureChange:
    """The change of a picture or a model of a product by newer facts."""

    pointer: str  # the JSON pointer of its field, e.g. `/images/back`
    was: str  # its address, or the first of a spin or a walk
    now: str  # the address in its place; empty: it goes away


def is_removal(cell: str) -> bool:
    """Return whether a cell takes its picture away, whatever its case and the blanks around it."""
    return cell.strip().casefold() == REMOVE


def with_unnamed(product: Product, known: Product, stays: Callable[[str], bool]) -> Product:
    """Return newer facts of a product with pictures and models that it has and of which they say nothing.

    Args:
        product: The newer facts.
        known: The product as it is stored.
        stays: Whether one with this address stays.
    """
    staying = {
        name: value
        for name in (*_TEXT_FIELDS, *_CAPTURE_FIELDS)
        if not getattr(product, name) and (value := getattr(known, name)) and stays(_first(value))
    }
    said = {image.view for image in product.images}
    more = [image for image in known.images if image.view not in said and stays(image.url)]
    if more:
        order = list(View)
        images = sorted([*product.images, *more], key=lambda image: order.index(image.view))
        staying["images"] = tuple(images)
    return replace(product, **staying) if staying else product


def removed_pictures(product: Product) -> set[str]:
    """Return the JSON pointers of the pictures and models in whose place a row has the word `REMOVE`."""
    return {pointer for pointer, addresses in _addresses(product).items() if is_removal(addresses[0])}


def without_pictures(product: Product, pointers: Collection[str]) -> Product:
    """Return a product that says nothing about the pictures and models at these JSON pointers."""
    texts = {name: "" for name in _TEXT_FIELDS if f"/{name}" in pointers}
    captures = {name: () for name in _CAPTURE_FIELDS if f"/{name}" in pointers}
    images = tuple(image for image in product.images if f"/images/{image.view}" not in pointers)
    return replace(product, images=images, **texts, **captures)  # type: ignore[arg-type]


def without_removed(product: Product) -> Product:
    """Return a product of a row without the pictures in whose place it has the word `REMOVE`."""
    return without_pictures(product, removed_pictures(product))


def picture_changes(known: Product, new: Product) -> list[PictureChange]:
    """Return the pictures and models of a product that go away, or get another address, by newer facts."""
    before, after = _addresses(known), _addresses(new)
    changed = {pointer: was for pointer, was in before.items() if after.get(pointer, ("",)) != was}
    return [PictureChange(at, was[0], after.get(at, ("",))[0]) for at, was in changed.items()]


def _addresses(product: Product) -> dict[str, tuple[str, ...]]:
    """Return the addresses of a product's pictures and model, by the pointer of their field."""
    named = {f"/images/{image.view}": (image.url,) for image in product.images}
    captured = {f"/{name}": getattr(product, name) for name in _CAPTURE_FIELDS}
    texts = {f"/{name}": (getattr(product, name),) for name in _TEXT_FIELDS}
    found = named | captured | texts
    return {pointer: addresses for pointer, addresses in found.items() if any(addresses)}


def _first(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else next(iter(value), "")
