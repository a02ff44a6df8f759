"""JSON that people write and programs send, read without guessing: no key twice, no number that is none."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from dam_connector.domain.outside_values import require_shallow

_HINTS = (
    (re.compile(r"^\s*(//|#|/\*)", re.MULTILINE), "JSON has no comments"),
    (re.compile(r",\s*[}\]]"), "remove the comma before the closing bracket"),
    (re.compile(r"[{,\[]\s*'"), 'write texts in double quotes: "..."'),
    (re.compile(r"[“”]"), 'write straight quotes: "..."'),
)

# what only an escape brings into a text; neither UTF-8 nor PostgreSQL takes it
_UNCLEAN = re.compile("[\0\ud800-\udfff]")


def load_json(text: str, *, allow_nan: bool = False) -> Any:
    """Return the value of a JSON text.

    Args:
        text: the text.
        allow_nan: NaN and infinite numbers pass, for a schema that refuses them with their place.

    Raises:
        ValueError: the text is not JSON, names a key twice in one object, has NaN or an infinite number, is
            nested too deeply, or holds a NUL or half a surrogate pair. The message says where, and what may
            be meant.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=float if allow_nan else _no_number,
            parse_float=float if allow_nan else _finite_float,
        )
    except json.JSONDecodeError as error:
        hint = next((hint for pattern, hint in _HINTS if pattern.search(text)), "")
        line = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise ValueError(f"{line}; {hint}" if hint else line) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    require_shallow(value)
    if "\\u" in text and (unclean := next(filter(_UNCLEAN.search, _texts(value)), None)):
        raise ValueError(
            f"the text {ascii(unclean)[:60]} holds a NUL or half a surrogate pair; send clean UTF-8"
        )
    return value


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f'the key "{twice}" is given twice in one object; only one can count')
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value
