"""Mapping from a vendor's product record to our `Product`: attributes to fields, images to views."""

import html
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from marshmallow import ValidationError

from dam_connector.adapters.common.record_values import NotADate, parse_length, read_date
from dam_connector.domain.product import TRANSLATED_FIELDS, Product
from dam_connector.errors import BadOutput, ConfigError
from schemas.common import problem_lines
from schemas.image_views import VIEWS, images_by_view
from schemas.numbers_and_units import METRES_PER_UNIT, NotANumber
from schemas.product import TEXT_FIELDS, ProductSchema, load_product

AXES = ("width", "height", "depth")
FIELDS = (
    *TEXT_FIELDS,
    *AXES,
    *VIEWS,
    "spin_images",
    "walk_images",
    "inspiration_image",
    "model_url",
    "parent",
    "swatch",
    "live_from",
    "live_until",
)
MAX_TEXT_CHARACTERS = 2000
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
        # of lengths that are plain numbers; empty: the adapter asks the source before it builds a product
        self.unit = str(options.get("unit", "cm"))
        if self.unit and self.unit not in METRES_PER_UNIT:
            raise ConfigError(f"unit: {self.unit!r} is none of {', '.join(METRES_PER_UNIT)}")
        self._image_order = tuple(str(view) for view in options.get("image_order", ("front",)))
        if unknown := [view for view in self._image_order if view not in VIEWS]:
            raise ConfigError(f"image_order: {unknown[0]!r} is none of {', '.join(VIEWS)}")

    @property
    def image_attributes(self) -> frozenset[str]:
        """Return the vendor's attributes that hold images."""
        image_fields = (*VIEWS, "inspiration_image", "model_url", "swatch")
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
        attributes: Mapping[str, Any] | None = None,
        translations: Mapping[str, GetValue] | None = None,
    ) -> Product:
        """Build a product from a vendor's record.

        Args:
            sku: the product's SKU.
            get_value: returns the value of a vendor's attribute by its name, or None.
            images: the URL and the text (file name, alt text) of each image, in the record's order.
            attributes: further attributes, which are stored with the product as they are.
            translations: by locale, what returns the value of an attribute in it.

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
        mapped = {
            view: url
            for view in VIEWS
            if view in self._attributes and (url := to_text(get_value(self._attributes[view])))
        }
        others = [image for image in images if image[0] not in mapped.values()]
        order = [view for view in self._image_order if view not in mapped]
        record["images"] = images_by_view(others, order, name=str(record.get("name", ""))) | mapped
        for name in ("spin_images", "walk_images"):
            if name in self._attributes:
                found = get_value(self._attributes[name])
                record[name] = [str(url) for url in found] if isinstance(found, list) else str(found or "")
        for name in ("inspiration_image", "model_url", "parent", "swatch"):
            if name in self._attributes:
                record[name] = to_text(get_value(self._attributes[name]))
        record["translations"] = {
            locale: {f: to_text(get(self._attributes[f])) for f in TRANSLATED_FIELDS if f in self._attributes}
            for locale, get in (translations or {}).items()
        }
        record |= self._dates(get_value)
        return parse_product(record, self._vendor)

    def _dates(self, get_value: GetValue) -> dict[str, str]:
        """Return the dates that are there: without its embargo or expiry, a product would go live."""
        found = {}
        for name in ("live_from", "live_until"):
            if name in self._attributes:
                try:
                    moment = read_date(get_value(self._attributes[name]))
                except NotADate as error:
                    raise BadOutput(self._vendor, "fetch", f"/{name}: {error}") from error
                if moment:
                    found[name] = moment.isoformat()
        return found

    def _dimensions(self, get_value: GetValue) -> dict[str, float | None]:
        sizes: dict[str, float | None] = dict.fromkeys(AXES)
        for axis in AXES:
            if axis in self._attributes:
                try:
                    sizes[axis] = parse_length(get_value(self._attributes[axis]), self.unit)
                except NotANumber as error:
                    raise BadOutput(self._vendor, "fetch", f"/dimensions/{axis}: {error}") from error
        return sizes


def parse_product(record: Mapping[str, Any], vendor: str) -> Product:
    """Parse a record that has the shape of our product schema.

    Raises:
        BadOutput: with the JSON pointer and message of each mistake.
    """
    try:
        return load_product(record)
    except ValidationError as error:
        raise BadOutput(vendor, "fetch", "; ".join(problem_lines(error.messages, ProductSchema()))) from error


def to_text(value: Any) -> str:
    """Return a value as plain text: lists joined, measures with their unit, booleans empty.

    Markup is removed, and `&amp;` is read as the `&` that it means.
    """
    if isinstance(value, (list, tuple)):
        return ", ".join(filter(None, map(to_text, value)))[:MAX_TEXT_CHARACTERS]
    if isinstance(value, dict):
        return " ".join(to_text(value[name]) for name in ("amount", "value", "unit") if name in value)
    if value is None or isinstance(value, bool):
        return ""
    text = html.unescape(re.sub(r"<[^>]{0,500}>", " ", str(value)))
    return " ".join(text.split())[:MAX_TEXT_CHARACTERS]
