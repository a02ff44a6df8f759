"""Mapping from a vendor's product record to our `Product`: attributes to fields, images to views."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from marshmallow import ValidationError

from dam_connector.domain.outside_values import parse_timestamp
from dam_connector.domain.product import Product, View
from dam_connector.errors import BadOutput, ConfigError
from schemas.common import problem_lines
from schemas.product import METRES_PER_UNIT, TEXT_FIELDS, ProductSchema, load_product

AXES = ("width", "height", "depth")
VIEWS = tuple(view.value for view in View)
FIELDS = (*TEXT_FIELDS, *AXES, *VIEWS, "inspiration_image", "live_from")
UNIT_NAMES = {  # of measures, as Akeneo and Shopify write them
    "MILLIMETER": "mm",
    "CENTIMETER": "cm",
    "METER": "m",
    "INCH": "in",
    "FOOT": "ft",
}
MAX_TEXT_CHARACTERS = 2000
_VIEW_PATTERNS = {view: re.compile(rf"(?:^|[^a-z]){view}(?:$|[^a-z])") for view in VIEWS}
GetValue = Callable[[str], Any]


class AttributeMapping:
    """The vendor's attribute for each of our fields.

    A vendor has defaults. The options of plugin.json take precedence: `attributes` (our field -> their
    attribute), `unit` (of lengths that are plain numbers; "cm" by default) and `image_order` (the views of
    the images whose file name or alt text names no view; ["front"] by default).
    """

    def __init__(self, vendor: str, defaults: Mapping[str, str], options: Mapping[str, Any]) -> None:
        """Read the mapping from a connection's options.

        Args:
            vendor: the name in errors.
            defaults: our field -> the vendor's attribute.
            options: all options of the connection.

        Raises:
            ConfigError: an unknown field, unit or view.
        """
        own = options.get("attributes", {})
        if not isinstance(own, dict) or (unknown := [name for name in own if name not in FIELDS]):
            raise ConfigError(
                f"attributes: {unknown[0] if isinstance(own, dict) else own!r} is none of our fields; "
                f"known: {', '.join(FIELDS)}"
            )
        self._vendor = vendor
        self._attributes = {**defaults, **{field: str(attribute) for field, attribute in own.items()}}
        self._unit = str(options.get("unit", "cm"))
        if self._unit not in METRES_PER_UNIT:
            raise ConfigError(f"unit: {self._unit!r} is none of {', '.join(METRES_PER_UNIT)}")
        self._image_order = tuple(str(view) for view in options.get("image_order", ("front",)))
        if unknown := [view for view in self._image_order if view not in VIEWS]:
            raise ConfigError(f"image_order: {unknown[0]!r} is none of {', '.join(VIEWS)}")

    @property
    def image_attributes(self) -> frozenset[str]:
        """Return the vendor's attributes that hold images."""
        image_fields = (*VIEWS, "inspiration_image")
        return frozenset(attribute for field, attribute in self._attributes.items() if field in image_fields)

    def attributes_with_prefix(self, prefix: str) -> list[str]:
        """Return the mapped attributes with a prefix such as `custom:`, without it, sorted."""
        attributes = self._attributes.values()
        return sorted({name.removeprefix(prefix) for name in attributes if name.startswith(prefix)})

    def build_product(
        self,
        sku: str,
        get_value: GetValue,
        images: Iterable[tuple[str, str]] = (),
        attributes: Mapping[str, str] | None = None,
    ) -> Product:
        """Build a product from a vendor's record.

        Args:
            sku: the product's SKU.
            get_value: returns the value of a vendor's attribute by its name, or None.
            images: the URL and the text (file name, alt text) of each image, in the record's order.
            attributes: further attributes, which are stored with the product as they are.

        Raises:
            BadOutput: with the JSON pointer and message of each mistake.
        """
        record: dict[str, Any] = {"sku": sku, "attributes": dict(attributes or {})}
        record |= {
            field: to_text(get_value(self._attributes[field]))
            for field in TEXT_FIELDS
            if field in self._attributes
        }
        record["dimensions"] = {**self._dimensions(get_value), "unit": "m"}
        record["images"] = images_by_view(images, self._image_order)
        record["images"] |= {
            view: url
            for view in VIEWS
            if view in self._attributes and (url := to_text(get_value(self._attributes[view])))
        }
        if "inspiration_image" in self._attributes:
            record["inspiration_image"] = to_text(get_value(self._attributes["inspiration_image"]))
        if "live_from" in self._attributes and (
            live_from := parse_timestamp(get_value(self._attributes["live_from"]))
        ):
            record["live_from"] = live_from.isoformat()
        return parse_product(record, self._vendor)

    def _dimensions(self, get_value: GetValue) -> dict[str, float | None]:
        return {
            axis: parse_length(get_value(self._attributes[axis]), self._unit)
            if axis in self._attributes
            else None
            for axis in AXES
        }


def parse_product(record: Mapping[str, Any], vendor: str) -> Product:
    """Parse a record that has the shape of our product schema.

    Raises:
        BadOutput: with the JSON pointer and message of each mistake.
    """
    try:
        return load_product(record)
    except ValidationError as error:
        raise BadOutput(vendor, "fetch", "; ".join(problem_lines(error.messages, ProductSchema()))) from error


def images_by_view(images: Iterable[tuple[str, str]], order: Iterable[str]) -> dict[str, str]:
    """Return the image URL of each view.

    An image whose text names a view, e.g. `chair-left.jpg`, shows that view. The other images get the views
    of `order` that are still free. The first image that is then left over is the view `detail`.

    Args:
        images: the URL and the text of each image.
        order: the views of images that name none.
    """
    found: dict[str, str] = {}
    unnamed = []
    for url, text in images:
        view = next((view for view, pattern in _VIEW_PATTERNS.items() if pattern.search(text.lower())), "")
        if view and view not in found:
            found[view] = url
        else:
            unnamed.append(url)
    free_views = [view for view in order if view not in found]
    found |= dict(zip(free_views, unnamed, strict=False))
    rest = unnamed[len(free_views) :]
    return {**found, **({"detail": rest[0]} if rest and "detail" not in found else {})}


def parse_length(value: Any, unit: str) -> float | None:
    """Return a length in metres, or None if the value is no length above 0.

    Args:
        value: a number, its text, or a measure with a unit, e.g. `{"amount": "80", "unit": "CENTIMETER"}`.
        unit: the unit of a plain number.
    """
    if isinstance(value, dict):
        own_unit = str(value.get("unit", ""))
        unit = UNIT_NAMES.get(own_unit.upper(), own_unit.lower())
        value = value.get("amount", value.get("value"))
    try:
        length_m = float(str(value).replace(",", ".")) * METRES_PER_UNIT[unit]
    except (ValueError, KeyError):
        return None
    return round(length_m, 6) if 0 < length_m < 1e6 else None


def to_text(value: Any) -> str:
    """Return a value as text: lists joined, measures with their unit, markup removed, booleans empty."""
    if isinstance(value, (list, tuple)):
        return ", ".join(filter(None, map(to_text, value)))[:MAX_TEXT_CHARACTERS]
    if isinstance(value, dict):
        return " ".join(to_text(value[name]) for name in ("amount", "value", "unit") if name in value)
    if value is None or isinstance(value, bool):
        return ""
    return " ".join(re.sub(r"<[^>]{0,500}>", " ", str(value)).split())[:MAX_TEXT_CHARACTERS]
