"""The types of events in messages of any system: their places and meanings."""

from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.record_values import shown
from dam_connector.domain.event import EventKind
from dam_connector.errors import ConfigError
from schemas.json_paths import Paths, Place, compile_paths, find_all, find_places

HEADER = "header:"  # the type of an event is in a header, e.g. `header:pimcore-event`
DEFAULT_TYPES = {
    prefix + kind.value: kind.value for prefix in ("", "product.", "product_") for kind in EventKind
}


class UnclearType(ValueError):
    """A message whose type can be that of one product or of another."""


class EventTypes:
    """The place of the type of an event, and the meaning of each type."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Read `type` and `types` of the option `mapping`.

        Raises:
            ConfigError: one of them is wrong, or there are types without a place.
        """
        written = str(options.get("type", ""))
        self.header = written.removeprefix(HEADER).lower() if written.startswith(HEADER) else ""
        self._paths: Paths = ()
        if written and not self.header:
            try:
                self._paths = compile_paths(written)
            except ValueError as error:
                raise ConfigError(f"mapping/type: {error}") from error
        self._kinds = _read_types(options.get("types", DEFAULT_TYPES))
        if "types" in options and not written:
            raise ConfigError('mapping/types: name the place of the type too, e.g. "type": "$.event"')

    @property
    def has_place(self) -> bool:
        """Return whether messages have a type; otherwise each is an update."""
        return bool(self._paths or self.header)

    def of_record(self, record: Any) -> EventKind | None:
        """Return the kind of event of one product by the type in it; None if it has none that is known.

        Raises:
            UnclearType: it has several that mean different things.
        """
        kinds = {kind for each in find_all(self._paths, record) if (kind := self._meaning(each))}
        if len(kinds) > 1:
            raise UnclearType(f"/type: {self._where} finds several types in one product")
        return next(iter(kinds), None)

    def of_message(
        self, message: Any, headers: Mapping[str, str], places: Sequence[Place]
    ) -> EventKind | None:
        """Return the kind of event of all products of a message; None if it is of another type.

        Args:
            message: the parsed body.
            headers: by name in lower case.
            places: the products and where they are.

        Raises:
            UnclearType: the type that was found is that of one of several products, or there are several.
        """
        if not self.has_place:
            return EventKind.UPDATED
        if self.header:
            return self._meaning(headers.get(self.header, ""))
        found = find_places(self._paths, message)
        inside = [each for each in found if any(each.path[: len(p.path)] == p.path for p in places)]
        if inside and len(places) > 1:
            raise UnclearType(
                f"/type: {self._where} finds the type of one product, and the message has {len(places)}; "
                'write the path as it is in one product, e.g. "$.action"'
            )
        kinds = {self._meaning(each.value) for each in found}
        if len(kinds) > 1:
            raise UnclearType(f"/type: {self._where} finds {len(found)} types; write a path that finds one")
        return next(iter(kinds), None)

    def describe(self, message: Any, headers: Mapping[str, str], records: Sequence[Any]) -> str:
        """Return for people why a message is ignored: the type that was found, or its place."""
        if self.header:
            text = headers.get(self.header, "")
            found = (
                f"the header {self.header} is {shown(text)}" if text else f"it has no header {self.header}"
            )
        else:
            values = find_all(self._paths, message) or [
                each for record in records for each in find_all(self._paths, record)
            ]
            found = (
                f"its type at {self._where} is {', '.join(sorted({shown(each) for each in values}))}"
                if values
                else f"nothing is at {self._where}, the place of its type"
            )
        return f"{found}; known types: {', '.join(self._kinds)}"

    def _meaning(self, found: Any) -> EventKind | None:
        return self._kinds.get(str(found).strip())

    @property
    def _where(self) -> str:
        return " or ".join(str(path) for path in self._paths)


def _read_types(written: object) -> dict[str, EventKind]:
    try:
        if not isinstance(written, Mapping):
            raise TypeError
        return {str(theirs): EventKind(ours) for theirs, ours in written.items()}
    except (TypeError, ValueError) as error:
        known = ", ".join(kind.value for kind in EventKind)
        raise ConfigError(f"mapping/types: each of their types becomes one of {known}") from error
