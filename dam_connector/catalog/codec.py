"""Frozen dataclasses to plain JSON values and back: the one codec for checkpoints and JSON columns."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """A value of dataclasses, tuples, mappings, enums and datetimes as JSON can hold it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
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
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def from_plain(cls: type[T], data: Any) -> T:
    """The value of type `cls` that `to_plain` turned into `data`; fields that are not there take their defaults.

    Raises: TypeError, KeyError or ValueError when the data is not of that shape.
    """
    return typing.cast(T, _decode(cls, data))


def _decode(hint: Any, data: Any) -> Any:
    if hasattr(hint, "__supertype__"):  # NewType
        return _decode(hint.__supertype__, data)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return None if data is None else _decode(next(a for a in args if a is not type(None)), data) if len(args) == 2 else data
    if origin is tuple:
        return tuple(_decode(args[0], item) for item in data)
    if origin is not None and issubclass(origin, Mapping):
        return {_decode(args[0], k): _decode(args[1], v) for k, v in data.items()}
    if dataclasses.is_dataclass(hint):
        known = _hints(typing.cast(type, hint))
        return typing.cast(type, hint)(**{k: _decode(known[k], v) for k, v in data.items() if k in known})
    if hint is datetime:
        return datetime.fromisoformat(data)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(data)
    return float(data) if hint is float else data
