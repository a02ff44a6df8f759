"""Mapping from messages of any system to events about products, by the JSONPaths of an admin."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from dam_connector.adapters.common.context import check_options
from dam_connector.adapters.common.product_mapping import AttributeMapping, to_text
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.outside_values import parse_timestamp, parse_unix_time
from dam_connector.domain.product import Product, is_colour_code
from dam_connector.errors import BadOutput, ConfigError
from schemas.image_views import VIEWS
from schemas.json_paths import Paths, compile_paths, find_all, find_value

ATTRIBUTES = "attributes"  # all values below a place; `attributes.NAME` is one of them
LOCALE_MARK = "@"  # `name@de` is the name in German
HEADER = "header:"  # the type of an event is in a header, e.g. `header:pimcore-event`
OPTIONS = ("products", "product", "list", "type", "types", "deleted", "time", "fields", "images")
MORE_OPTIONS = ("image_base", "unit")
IMAGE_OPTIONS = ("each", "url", "text", "view", "views", "order")
DEFAULT_TYPES = {
    prefix + kind.value: kind.value for prefix in ("", "product.", "product_") for kind in EventKind
}
_MILLISECONDS_FROM = 100_000_000_000  # a larger number of seconds would be in the year 5138


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
        images = options.get("images", {})
        self._images = _ImageList(images)
        self._record = AttributeMapping(
            vendor,
            {},
            {
                "attributes": {name: name for name in mapped},
                **({"unit": options["unit"]} if "unit" in options else {}),
                **({"image_order": images["order"]} if "order" in images else {}),
            },
        )
        self._products, self._product, self._list = (
            _paths(options.get(name, "$"), name) for name in ("products", "product", "list")
        )
        self._deleted = _paths(options["deleted"], "deleted") if "deleted" in options else ()
        self._time = _paths(options["time"], "time") if "time" in options else ()
        self._image_base = str(options.get("image_base", ""))
        kind = str(options.get("type", ""))
        self.type_header = kind.removeprefix(HEADER).lower() if kind.startswith(HEADER) else ""
        self._type = _paths(kind, "type") if kind and not self.type_header else ()
        self._types = _types(options.get("types", DEFAULT_TYPES))

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
        kind = self._kind(message, headers)
        if kind is None:
            return []
        records = [each for place in find_all(self._products, message) for each in _as_list(place)]
        if not records:
            raise BadOutput(self._vendor, "normalize", f"/: no product at {_text(self._products)}")
        return [self._event(kind, record, message, received_at) for record in records]

    def fetched(self, reply: Any, now: datetime) -> list[Event]:
        """Return an event for the product that the PIM returned; none if it returned none."""
        return [
            self._event(EventKind.UPDATED, each, reply, now) for each in find_all(self._product, reply)[:1]
        ]

    def listed(self, page: Any, now: datetime) -> list[Event]:
        """Return an event for each product of a page of the PIM's list."""
        found = [each for place in find_all(self._list, page) for each in _as_list(place)]
        return [self._event(EventKind.UPDATED, each, {}, now) for each in found]

    def _kind(self, message: Any, headers: Mapping[str, str]) -> EventKind | None:
        if not self._type and not self.type_header:
            return EventKind.UPDATED
        found = headers.get(self.type_header) if self.type_header else find_value(self._type, message)
        return self._types.get(str(found).strip())

    def _event(self, kind: EventKind, record: Any, message: Any, received_at: datetime) -> Event:
        at = self._moment(record) or self._moment(message) or received_at
        ref = to_text(find_value(self._fields["sku"], record))
        if not ref:
            return Event(kind=kind, ref="", at=at, problem=f"/sku: nothing at {_text(self._fields['sku'])}")
        if kind is EventKind.DELETED or find_all(self._deleted, record):
            return Event(kind=EventKind.DELETED, ref=ref, at=at)
        try:
            return Event(kind=kind, ref=ref, at=at, product=self.product(record))
        except BadOutput as error:
            return Event(kind=kind, ref=ref, at=at, problem=str(error))

    def _moment(self, record: Any) -> datetime | None:
        """Return the time in a record: ISO 8601, or seconds or milliseconds since 1970."""
        for value in find_all(self._time, record):
            number = value if isinstance(value, (int, float)) else None
            if number is None and str(value).isdigit() and len(str(value)) in (10, 13):
                number = int(value)
            if number is not None:
                number = number / 1000 if number >= _MILLISECONDS_FROM else number
            moment = parse_unix_time(number) if number is not None else parse_timestamp(value)
            if moment:
                return moment
        return None

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
        return urljoin(self._image_base, url) if self._image_base else url


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
        for found in find_all(self._each, record):
            for image in _as_list(found):
                url = image if isinstance(image, str) else find_value(self._url, image)
                if isinstance(url, str):
                    yield url, "\n".join(filter(None, (*self._words(image), _file_name(url))))

    def _words(self, image: Any) -> Iterator[str]:
        if not isinstance(image, str):
            kind = to_text(find_value(self._view, image))
            yield self._views.get(kind.lower(), kind)
            yield to_text(find_value(self._text, image))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _file_name(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2])


def _is_plain(value: Any) -> bool:
    return all(isinstance(each, (str, int, float)) for each in _as_list(value))


def _paths(written: object, where: str) -> Paths:
    try:
        return compile_paths(written)
    except ValueError as error:
        raise ConfigError(f"mapping/{where}: {error}") from error


def _text(paths: Paths) -> str:
    return " or ".join(str(path) for path in paths)


def _types(written: object) -> dict[str, EventKind]:
    try:
        if not isinstance(written, Mapping):
            raise TypeError
        return {str(theirs): EventKind(ours) for theirs, ours in written.items()}
    except (TypeError, ValueError) as error:
        known = ", ".join(kind.value for kind in EventKind)
        raise ConfigError(f"mapping/types: each of their types becomes one of {known}") from error
