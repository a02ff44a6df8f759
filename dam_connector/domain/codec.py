"""Conversion of frozen dataclasses to plain JSON values and back, for checkpoints and JSON columns.

Field names of stored dataclasses are keys in the database: renaming one needs a migration.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
Decoder = Callable[[Any], Any]
_PLAIN = frozenset((str, int, float, bool, type(None)))


def to_plain(value: Any) -> Any:
    """Convert dataclasses, tuples, mappings, enums and datetimes to values that JSON can hold."""
    cls: type = type(value)
    if cls in _PLAIN:
        return value
    if names := _field_names(cls):
        return {name: to_plain(getattr(value, name)) for name in names}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_plain(v) for v in value]
    return value


@cache
def _field_names(cls: type) -> tuple[str, ...]:
    """Return the field names of a dataclass; none for any other type."""
    return tuple(f.name for f in dataclasses.fields(cls)) if dataclasses.is_dataclass(cls) else ()


def from_plain(cls: type[T], data: Any) -> T:
    """Return the value of type `cls` that `to_plain` converted to `data`.

    Fields that are missing in `data` take their defaults; unknown keys are ignored.

    Raises:
        TypeError, KeyError, ValueError: The data does not have the shape of `cls`.
    """
    return typing.cast(T, _decoder(typing.cast(type, cls))(data))


@cache
def _decoder(hint: Any) -> Decoder:
    """Return the function that decodes a type; built once a type, as a checkpoint has hundreds of values."""
    if hasattr(hint, "__supertype__"):  # NewType
        return _decoder(hint.__supertype__)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _optional_decoder(args)
    if origin is tuple:
        element = _decoder(args[0])
        return lambda data: tuple(map(element, data))
    if origin is typing.Literal:
        return lambda data: data  # not checked: a stored report may have an issue code of an earlier release
    if origin is not None and issubclass(origin, Mapping):
        key, value = (_decoder(a) for a in args)
        return lambda data: {key(k): value(v) for k, v in data.items()}
    if dataclasses.is_dataclass(hint):
        return _dataclass_decoder(typing.cast(type, hint))
    if hint is datetime:
        return datetime.fromisoformat
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return float if hint is float else lambda data: data


def _optional_decoder(args: tuple[Any, ...]) -> Decoder:
    """Decode `X | None`. Other unions, e.g. `str | int`, are values that JSON holds unchanged."""
    if len(args) != 2:
        return lambda data: data
    some = _decoder(next(a for a in args if a is not type(None)))
    return lambda data: None if data is None else some(data)


def _dataclass_decoder(cls: type) -> Decoder:
    """Decode a mapping into a dataclass; ignore keys that are no fields."""
    fields = {name: _decoder(hint) for name, hint in typing.get_type_hints(cls).items()}
    return lambda data: cls(**{name: fields[name](value) for name, value in data.items() if name in fields})
