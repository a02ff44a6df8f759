"""Mapping from messages of any system to events about products, by the JSONPaths of an admin."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from dam_connector.adapters.common.context import check_options
from dam_connector.adapters.common.product_mapping import AXES, AttributeMapping, to_text
from dam_connector.adapters.common.record_types import EventTypes, UnclearType
from dam_connector.adapters.common.record_values import NotADate, is_true, read_time, shown
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.product import Product, is_colour_code
from dam_connector.errors import BadOutput, ConfigError
from schemas.image_views import VIEWS
from schemas.json_paths import Paths, Place, compile_paths, find_all, find_places, find_value

ATTRIBUTES = "attributes"  # all values below a place; `attributes.NAME` is one of them
LOCALE_MARK = "@"  # `name@de` is the name in German
OPTIONS = ("products", "product", "list", "type", "types", "deleted", "time", "fields", "images")
MORE_OPTIONS = ("image_base", "unit")
# Lists of media hold other files too, which would take the place of a photo.
_NO_PICTURE = re.compile(
    r"\.(?:pdf|mp4|mov|webm|avi|mkv|mp3|zip|docx?|xlsx?|pptx?|txt|csv|html?|glb|gltf|usdz|obj|stp|step)$",
    re.IGNORECASE,
)
IMAGE_OPTIONS = ("each", "url", "text", "view", "views", "order")


class RecordMapping:
    """The places in a message where the parts of its products are, and the meaning of its types."""

    def __init__(self, vendor: str, options: Mapping[str, Any]) -> None:
        """Read the option `mapping`.

        Raises:
            ConfigError: an unknown key, a wrong JSONPath, or no place of the SKU.
        """
        check_options(options, *OPTIONS, *MORE_OPTIONS)
        self._vendor = vendor
        own = options.get("fields")
        if not isinstance(own, dict) or "sku" not in own:
            raise ConfigError('mapping/fields: name the place of the SKU, e.g. {"sku": "$.data.sku"}')
        self._fields = {name: _paths(place, f"fields/{name}") for name, place in own.items()}
        mapped = {
            name.partition(LOCALE_MARK)[0]
            for name in self._fields
            if name != "sku" and name.partition(".")[0] != ATTRIBUTES
        }
        self._locales = sorted({name.partition(LOCALE_MARK)[2] for name in self._fields} - {""})
        unit = options.get("unit", "")
        # where a product names the unit of its lengths; empty: all have the same
        self._unit = _paths(unit, "unit") if isinstance(unit, list) or str(unit).startswith("$") else ()
        images = options.get("images", {})
        self._images = _ImageList(images)
        self._record = AttributeMapping(
            vendor,
            {},
            {
                "attributes": {name: name for name in mapped},
                **({"unit": "" if self._unit else options["unit"]} if "unit" in options else {}),
                **({"image_order": images["order"]} if "order" in images else {}),
            },
        )
        self._products, self._product, self._list = (
            _paths(options.get(name, "$"), name) for name in ("products", "product", "list")
        )
        self._deleted = _paths(options["deleted"], "deleted") if "deleted" in options else ()
        self._time = _paths(options["time"], "time") if "time" in options else ()
        self._image_base = str(options.get("image_base", ""))
        self._types = EventTypes(options)
        self.type_header = self._types.header

    @property
    def has_time(self) -> bool:
        """Return whether records say when they changed."""
        return bool(self._time)

    def events(self, message: Any, headers: Mapping[str, str], received_at: datetime) -> list[Event]:
        """Return an event for each product of a message; none if its type has no meaning here.

        A product that cannot be read gives an event that names the problem, so that the others are taken in.

        Args:
            message: the parsed body of a delivery.
            headers: its headers, by name in lower case.
            received_at: when it happened, if the message does not say so.

        Raises:
            BadOutput: no product is at the place of products.
        """
        places = _each(find_places(self._products, message))
        kinds = self._kinds(message, headers, places)
        if not any(kinds):
            return []
        if not places:
            raise BadOutput(self._vendor, "normalize", f"/: no product at {_text(self._products)}")
        return [
            self._event(kind, place.value, message, received_at)
            for kind, place in zip(kinds, places, strict=True)
            if kind
        ]

    def why_ignored(self, message: Any, headers: Mapping[str, str]) -> str:
        """Return for people why a message results in no event."""
        records = [place.value for place in _each(find_places(self._products, message))]
        return self._types.describe(message, headers, records)

    def fetched(self, reply: Any, now: datetime) -> list[Event]:
        """Return an event for the product that the PIM returned; none if it returned none."""
        return [
            self._event(EventKind.UPDATED, each, reply, now) for each in find_all(self._product, reply)[:1]
        ]

    def listed(self, page: Any, now: datetime) -> list[Event]:
        """Return an event for each product of a page of the PIM's list."""
        found = [each for place in find_all(self._list, page) for each in _as_list(place)]
        return [self._event(EventKind.UPDATED, each, {}, now) for each in found]

    def left_out(self, message: Any) -> dict[str, list[str]]:
        """Return for people, by SKU, the parts of each product that are mapped and not taken over."""
        records = [place.value for place in _each(find_places(self._products, message))]
        return {to_text(find_value(self._fields["sku"], r)): list(self._left_out(r)) for r in records}

    def _left_out(self, record: Any) -> Iterator[str]:
        values = find_value(self._fields.get(ATTRIBUTES, ()), record)
        for name, value in values.items() if isinstance(values, Mapping) else ():
            if value is not None and not _is_plain(value):
                yield (
                    f"attributes.{name}: {shown(value)} is neither a text nor a number nor a list of such; "
                    f'map one value of it, e.g. "attributes.{name}": "$...{name}.value"'
                )
        yield from self._images.left_out(record)
        try:
            product = self.product(record)
        except BadOutput:
            return  # the problem says why
        taken = {image.url for image in product.images}
        for url, _ in self._images.find(record):
            if self._address(url) not in taken:
                yield (
                    f"images: {url}: another photo has its view, or it names none and no view of `order` is "
                    "free; name views by images/view or images/text"
                )

    def _kinds(
        self, message: Any, headers: Mapping[str, str], places: Sequence[Place]
    ) -> list[EventKind | None]:
        """Return the kind of each product's event: by the type in it, or else by that of the message."""
        try:
            kinds = [self._types.of_record(place.value) for place in places]
            if kinds and all(kinds):
                return kinds
            whole = self._types.of_message(message, headers, places)
        except UnclearType as error:
            raise BadOutput(self._vendor, "normalize", str(error)) from error
        return [kind or whole for kind in kinds] or [whole]

    def _event(self, kind: EventKind, record: Any, message: Any, received_at: datetime) -> Event:
        ref = to_text(find_value(self._fields["sku"], record))
        try:
            at = self._moment(record) or self._moment(message) or received_at
        except NotADate as error:
            return Event(kind=kind, ref=ref, at=received_at, problem=f"/time: {error}")
        if not ref:
            return Event(kind=kind, ref="", at=at, problem=f"/sku: nothing at {_text(self._fields['sku'])}")
        if kind is EventKind.DELETED or any(map(is_true, find_all(self._deleted, record))):
            return Event(kind=EventKind.DELETED, ref=ref, at=at)
        try:
            return Event(kind=kind, ref=ref, at=at, product=self.product(record))
        except BadOutput as error:
            return Event(kind=kind, ref=ref, at=at, problem=error.reason)

    def _moment(self, record: Any) -> datetime | None:
        """Return the time in a record.

        Raises:
            NotADate: it cannot be read. With the time of arrival in its place, an older message that comes
                later would count as the newer one.
        """
        times = map(read_time, find_all(self._time, record))
        return next(filter(None, times), None)

    def product(self, record: Any) -> Product:
        """Return the product of a record.

        Raises:
            BadOutput: with the JSON pointer and message of each mistake.
        """
        return self._record.build_product(
            to_text(find_value(self._fields["sku"], record)),
            lambda name: self._field(name, record),
            [(self._address(url), text) for url, text in self._images.find(record)],
            self._attributes(record),
            {locale: partial(self._translated, record, locale) for locale in self._locales},
        )

    def _translated(self, record: Any, locale: str, name: str) -> Any:
        return find_value(self._fields.get(f"{name}{LOCALE_MARK}{locale}", ()), record)

    def _field(self, name: str, record: Any) -> Any:
        if name in ("spin_images", "walk_images"):  # a list of addresses, or the path of each
            found = [each for place in find_all(self._fields[name], record) for each in _as_list(place)]
            return [self._address(each) for each in found if isinstance(each, str)]
        value = find_value(self._fields.get(name, ()), record)
        if name in AXES and self._unit and isinstance(value, (int, float, str)):
            return {"value": value, "unit": find_value(self._unit, record)}
        is_address = name in VIEWS or name in ("inspiration_image", "model_url", "swatch")
        is_address = is_address and isinstance(value, str) and bool(value) and not is_colour_code(value)
        return self._address(value) if is_address else value

    def _attributes(self, record: Any) -> dict[str, Any]:
        """Return the further attributes: numbers, texts, switches and lists of such."""
        found: dict[str, Any] = {}
        for name, paths in self._fields.items():
            value = find_value(paths, record) if name.partition(".")[0] == ATTRIBUTES else None
            if name == ATTRIBUTES and isinstance(value, Mapping):
                found |= {str(key): each for key, each in value.items() if _is_plain(each)}
            elif value is not None and name != ATTRIBUTES:
                found[name.partition(".")[2]] = value if _is_plain(value) else to_text(value)
        return found

    def _address(self, url: str) -> str:
        try:
            urlsplit(url)
            return urljoin(self._image_base, url) if self._image_base else url
        except ValueError as error:  # e.g. `http://[`
            raise BadOutput(self._vendor, "fetch", f"/images: {shown(url)} is no address") from error


class _ImageList:
    """The places of a record's images, and of the words that tell their views."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        if not isinstance(options, Mapping):
            raise ConfigError('mapping/images: write an object, e.g. {"each": "$.assets[*]", "url": "$.url"}')
        check_options(options, *IMAGE_OPTIONS)
        self._each = _paths(options["each"], "images/each") if "each" in options else ()
        self._url, self._text, self._view = (
            _paths(options[name], f"images/{name}") if name in options else ()
            for name in ("url", "text", "view")
        )
        self._views = {str(theirs).lower(): str(view) for theirs, view in options.get("views", {}).items()}
        if unknown := [view for view in self._views.values() if view not in VIEWS]:
            raise ConfigError(f"mapping/images/views: {unknown[0]!r} is none of {', '.join(VIEWS)}")

    def find(self, record: Any) -> Iterator[tuple[str, str]]:
        """Yield the URL and the words of each image; each kind of words on a line of its own."""
        for image, url in self._addresses(record):
            if isinstance(url, str) and not _NO_PICTURE.search(_file_name(url)):
                yield url, "\n".join(filter(None, (*self._words(image), _file_name(url))))

    def left_out(self, record: Any) -> Iterator[str]:
        """Yield a line for each entry of the list that is no picture, or has no address."""
        for image, url in self._addresses(record):
            if not isinstance(url, str):
                place = f"at {_text(self._url)}" if self._url else "in it; name its path as images/url"
                yield f"images: {shown(image)} has no single address {place}"
            elif _NO_PICTURE.search(_file_name(url)):
                yield f"images: {url} is no picture by its name"

    def _addresses(self, record: Any) -> Iterator[tuple[Any, Any]]:
        for found in find_all(self._each, record):
            for image in _as_list(found):
                yield image, image if isinstance(image, str) else find_value(self._url, image)

    def _words(self, image: Any) -> Iterator[str]:
        if not isinstance(image, str):
            kind = to_text(find_value(self._view, image))
            yield self._views.get(kind.lower(), kind)
            yield to_text(find_value(self._text, image))


def _each(places: list[Place]) -> list[Place]:
    """Return the places with those in lists one by one."""
    return [
        Place((*place.path, *below), each)
        for place in places
        for below, each in (
            [((number,), each) for number, each in enumerate(place.value)]
            if isinstance(place.value, list)
            else [((), place.value)]
        )
    ]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _file_name(url: str) -> str:
    try:
        return unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:  # `_address` refuses it
        return ""


def _is_plain(value: Any) -> bool:
    return all(isinstance(each, (str, int, float)) for each in _as_list(value))


def _paths(written: object, where: str) -> Paths:
    try:
        return compile_paths(written)
    except ValueError as error:
        raise ConfigError(f"mapping/{where}: {error}") from error


def _text(paths: Paths) -> str:
    return " or ".join(str(path) for path in paths)
