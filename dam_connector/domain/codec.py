"""Frozen dataclasses to plain JSON values and back: the one codec for checkpoints and JSON columns."""

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
    """A value of dataclasses, tuples, mappings, enums and datetimes as JSON can hold it."""
    cls: type = type(value)
    if cls in _PLAIN:
        return value
    if names := _fields(cls):
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
def _fields(cls: type) -> tuple[str, ...]:
    """Of a dataclass; none of anything else."""
    return tuple(f.name for f in dataclasses.fields(cls)) if dataclasses.is_dataclass(cls) else ()


def from_plain(cls: type[T], data: Any) -> T:
    """The value of type `cls` that `to_plain` turned into `data`; fields that are not there take their defaults.

    Raises: TypeError, KeyError or ValueError when the data is not of that shape.
    """
    return typing.cast(T, _decoder(typing.cast(type, cls))(data))


@cache
def _decoder(hint: Any) -> Decoder:
    """How data of this type is read: found out once a type, since a checkpoint holds hundreds of values."""
    if hasattr(hint, "__supertype__"):  # NewType
        return _decoder(hint.__supertype__)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _optional(args)
    if origin is tuple:
        item = _decoder(args[0])
        return lambda data: tuple(map(item, data))
    if origin is not None and issubclass(origin, Mapping):
        key, value = (_decoder(a) for a in args)
        return lambda data: {key(k): value(v) for k, v in data.items()}
    if dataclasses.is_dataclass(hint):
        return _built(typing.cast(type, hint))
    if hint is datetime:
        return datetime.fromisoformat
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return float if hint is float else lambda data: data


def _optional(args: tuple[Any, ...]) -> Decoder:
    """One type or None; of several types nothing is known but that JSON holds them as they are."""
    if len(args) != 2:
        return lambda data: data
    some = _decoder(next(a for a in args if a is not type(None)))
    return lambda data: None if data is None else some(data)


def _built(cls: type) -> Decoder:
    """A dataclass from a mapping; names that it does not know are left out."""
    fields = {name: _decoder(hint) for name, hint in typing.get_type_hints(cls).items()}
    return lambda data: cls(**{name: fields[name](value) for name, value in data.items() if name in fields})
