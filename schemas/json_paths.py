"""JSONPath (RFC 9535), by which plugin.json names places in records of other systems."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jsonpath
from marshmallow import ValidationError, fields

Paths = tuple[jsonpath.JSONPath | jsonpath.CompoundJSONPath, ...]


def compile_paths(written: object) -> Paths:
    """Return the compiled paths that an option names.

    Args:
        written: a path such as `$.data.sku`, or a list of paths, of which the first with a value counts.

    Raises:
        ValueError: it is neither, or a path is wrong.
    """
    places = written if isinstance(written, list) else [written]
    texts = [place for place in places if isinstance(place, str) and place.strip()]
    if not texts or len(texts) < len(places):
        raise ValueError('write a JSONPath, e.g. "$.data.sku", or a list of them')
    try:
        return tuple(jsonpath.compile(text) for text in texts)
    except jsonpath.JSONPathError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{' or '.join(texts)} is no JSONPath: {reason}") from error


class Place(NamedTuple):
    """A value in a record, and where it is."""

    path: tuple[int | str, ...]
    value: Any


def find_places(paths: Paths, record: Any) -> list[Place]:
    """Return the values at the first path that has any, without those that are null, empty or blank."""
    if not isinstance(record, (dict, list)):  # the library would parse a text as JSON
        return []
    for path in paths:
        try:
            found = [
                Place(match.parts, match.obj) for match in path.finditer(record) if not _is_absent(match.obj)
            ]
        except (jsonpath.JSONPathError, RecursionError):
            continue  # e.g. a record that is nested too deeply
        if found:
            return found
    return []


def find_all(paths: Paths, record: Any) -> list[Any]:
    """Return the values of `find_places`."""
    return [place.value for place in find_places(paths, record)]


def find_value(paths: Paths, record: Any) -> Any:
    """Return the value at the first path that has any: a list if it matches several, None without one."""
    found = find_all(paths, record)
    return (found[0] if len(found) == 1 else found) if found else None


def _is_absent(value: Any) -> bool:
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())


class PathField(fields.Raw):
    """An option that is a JSONPath, or a list of JSONPaths."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> Any:
        try:
            compile_paths(value)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return value
