"""From a vendor's record to a product: which of its attributes is which of our fields, and which picture shows which side."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError

from dam_connector.domain.product import Product, View
from dam_connector.errors import BadOutput, ConfigError
from schemas.common import problem_lines
from schemas.product import METRES_PER_UNIT, TEXT_FIELDS, ProductSchema, load_product

AXES = ("width", "height", "depth")
VIEWS = tuple(view.value for view in View)
FIELDS = (*TEXT_FIELDS, *AXES, *VIEWS, "inspiration_image", "live_from")
UNITS = {"MILLIMETER": "mm", "CENTIMETER": "cm", "METER": "m", "INCH": "in", "FOOT": "ft"}
_SIDES = {view: re.compile(rf"(?:^|[^a-z]){view}(?:$|[^a-z])") for view in VIEWS}
Look = Callable[[str], Any]


class AttributeMapping:
    """Our fields by a vendor's attributes: its usual ones, over which plugin.json (`attributes`, `unit`, `image_order`) has the last word."""

    def __init__(self, vendor: str, usual: Mapping[str, str], options: Mapping[str, Any]) -> None:
        """Raises: ConfigError for a field that there is not."""
        own = options.get("attributes", {})
        if not isinstance(own, dict) or (wrong := [name for name in own if name not in FIELDS]):
            raise ConfigError(
                f"attributes: {wrong[0] if isinstance(own, dict) else own!r} is none of our fields; known: {', '.join(FIELDS)}"
            )
        self._vendor, self._paths = vendor, {**usual, **{name: str(path) for name, path in own.items()}}
        self._unit = str(options.get("unit", "cm"))
        if self._unit not in METRES_PER_UNIT:
            raise ConfigError(f"unit: {self._unit!r} is none of {', '.join(METRES_PER_UNIT)}")
        self._order = tuple(str(view) for view in options.get("image_order", ("front",)))
        if wrong := [view for view in self._order if view not in VIEWS]:
            raise ConfigError(f"image_order: {wrong[0]!r} is none of {', '.join(VIEWS)}")

    @property
    def image_attributes(self) -> frozenset[str]:
        """The attributes that hold pictures."""
        return frozenset(path for name, path in self._paths.items() if name in (*VIEWS, "inspiration_image"))

    def attributes_with_prefix(self, prefix: str) -> list[str]:
        """The attributes that plugin.json names with this prefix, without it."""
        return sorted({path.removeprefix(prefix) for path in self._paths.values() if path.startswith(prefix)})

    def build_product(
        self,
        sku: str,
        look: Look,
        images: Iterable[tuple[str, str]] = (),
        attributes: Mapping[str, str] | None = None,
    ) -> Product:
        """The product whose attributes `look` finds by their names. images: address and words (file name, alt text) of its pictures, in order.

        Raises: BadOutput with the place of each mistake.
        """
        record: dict[str, Any] = {"sku": sku, "attributes": dict(attributes or {})}
        record |= {name: to_text(look(self._paths[name])) for name in TEXT_FIELDS if name in self._paths}
        record["dimensions"] = {**self._sizes(look), "unit": "m"}
        shown = images_by_view(images, self._order)
        shown |= {
            view: url for view in VIEWS if view in self._paths and (url := to_text(look(self._paths[view])))
        }
        record["images"] = shown
        if "inspiration_image" in self._paths:
            record["inspiration_image"] = to_text(look(self._paths["inspiration_image"]))
        if "live_from" in self._paths and (moment := parse_timestamp(look(self._paths["live_from"]))):
            record["live_from"] = moment.isoformat()
        return parse_product(record, self._vendor)

    def _sizes(self, look: Look) -> dict[str, float | None]:
        return {
            axis: parse_length(look(self._paths[axis]), self._unit) if axis in self._paths else None
            for axis in AXES
        }


def parse_product(record: Mapping[str, Any], vendor: str) -> Product:
    """Raises: BadOutput with the place of each mistake."""
    try:
        return load_product(record)
    except ValidationError as error:
        raise BadOutput(vendor, "fetch", "; ".join(problem_lines(error.messages, ProductSchema()))) from error


def images_by_view(images: Iterable[tuple[str, str]], order: Iterable[str]) -> dict[str, str]:
    """The address of a picture for each side: by the side that its words name, else by its place. What is left over shows no side that we know of:
    the first of it is a detail."""
    found: dict[str, str] = {}
    unnamed = []
    for url, words in images:
        side = next((view for view, pattern in _SIDES.items() if pattern.search(words.lower())), "")
        if side and side not in found:
            found[side] = url
        else:
            unnamed.append(url)
    free = [view for view in order if view not in found]
    found |= dict(zip(free, unnamed, strict=False))
    rest = unnamed[len(free) :]
    return {**found, **({"detail": rest[0]} if rest and "detail" not in found else {})}


def parse_length(value: Any, unit: str) -> float | None:
    """A length in metres: a number or its text in this unit, or a measure with a unit of its own. None where it is none, or none above 0."""
    if isinstance(value, dict):
        value, unit = (
            value.get("amount", value.get("value")),
            UNITS.get(str(value.get("unit", "")).upper(), str(value.get("unit", "")).lower()),
        )
    try:
        number = float(str(value).replace(",", ".")) * METRES_PER_UNIT[unit]
    except (ValueError, KeyError):
        return None
    return round(number, 6) if 0 < number < 1e6 else None


def to_text(value: Any) -> str:
    """A value as our records hold it: lists joined, measures with their unit, markup taken out."""
    if isinstance(value, (list, tuple)):
        return ", ".join(filter(None, map(to_text, value)))[:2000]
    if isinstance(value, dict):
        return " ".join(to_text(value[name]) for name in ("amount", "value", "unit") if name in value)
    if value is None or isinstance(value, bool):
        return ""
    return " ".join(re.sub(r"<[^>]{0,500}>", " ", str(value)).split())[:2000]


def parse_timestamp(text: Any) -> datetime | None:
    """A moment in ISO 8601, UTC where it names no zone; None for what is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
