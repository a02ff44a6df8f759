"""Problems of plugin.json with what stands at their place: the value, the name of the item, a near choice."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from schemas.deliverable import MODEL_FORMATS, RENDITION_FORMATS

MAX_SHOWN_CHARACTERS = 60
_SECRET_KEY = re.compile(r"(secret|token|password|api_key|private_key)s?$")
_CHOICES = re.compile(r"(?:Must be one of|; known|; known here): (?P<choices>[^;]+?)\.?$")
# What marshmallow says, and what is to be done.
_PLAIN = {
    "Not a valid list.": 'write a list, e.g. ["lamps"], also for one value',
    "Not a valid integer.": "write a whole number without quotes and unit, e.g. 2048",
    "Not a valid string.": "write a text in quotes",
    "Not a valid mapping type.": 'write names with values, e.g. {"lamps": "ann"}',
    "Invalid input type.": "write an object, { ... }",
    "Field may not be null.": "write a value, or leave the key out",
}
_OTHER_NAMES = {
    "jpg": "jpeg",
    "gltf": "glb",
    "usd": "usdz",
    "3d": "model",
    "image": "rendition",
    "picture": "rendition",
    "inch": "in",
}


def with_context(lines: Iterable[str], raw: object) -> Iterator[str]:
    """Yield each problem with the value that it is about and the name of the item that holds it.

    An example: `/deliverables/0/formats/0: Must be one of: jpeg, webp. It is "jpg", did you mean "jpeg"?
    (deliverable "packshot")`.

    Args:
        lines: problems, each a JSON pointer, a colon and a message.
        raw: the whole file as JSON.
    """
    for line in lines:
        pointer, colon, message = in_plain_words(line).partition(": ")
        keys = [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]
        yield f"{pointer}{colon}{_with_value(message, keys, raw)}{_deliverable_name(keys, raw)}"


def in_plain_words(line: str) -> str:
    """Return a problem with what is to be done in place of a message of the schema library."""
    pointer, colon, message = line.partition(": ")
    return f"{pointer}{colon}{_PLAIN.get(message, message)}"


def _with_value(message: str, keys: list[str], raw: object) -> str:
    found, value = _value_at(keys, raw)
    message = _for_kind(message, keys, raw)
    shown = json.dumps(value, ensure_ascii=False)[:MAX_SHOWN_CHARACTERS]
    secret = any(_SECRET_KEY.search(key) for key in keys)
    if not found or secret or isinstance(value, (dict, list)):
        return message
    choices = _CHOICES.search(message)
    near = (
        _near(str(value), choices["choices"].split(", ")) if choices and "did you mean" not in message else ""
    )
    hint = f', did you mean "{near}"?' if near else ""
    if shown.strip('"') in message:
        return f"{message}{hint}"
    return f"{message.rstrip('.')}{'.' if message.endswith('.') else ';'} it is {shown}{hint}"


def _for_kind(message: str, keys: list[str], raw: object) -> str:
    """Return a message that lists formats of all kinds with those of the deliverable's own kind alone."""
    if not message.startswith("Must be one of") or (keys[:1], keys[2:3]) != (["deliverables"], ["formats"]):
        return message
    _, kind = _value_at([*keys[:2], "kind"], raw)
    known = {"rendition": RENDITION_FORMATS, "model": MODEL_FORMATS}.get(str(kind))
    return f"Must be one of: {', '.join(known)}." if known else message


def _near(value: str, choices: list[str]) -> str:
    other = _OTHER_NAMES.get(value.lower(), value.lower())
    return next(
        iter([c for c in choices if c == other] or difflib.get_close_matches(other, choices, n=1)), ""
    )


def _deliverable_name(keys: list[str], raw: object) -> str:
    if len(keys) < 2 or keys[0] != "deliverables":
        return ""
    found, name = _value_at([*keys[:2], "name"], raw)
    return f' (deliverable "{name}")' if found and isinstance(name, str) and keys[2:] != ["name"] else ""


def _value_at(keys: list[str], raw: object) -> tuple[bool, Any]:
    """Return whether there is a value at a path, and the value."""
    value = raw
    for key in keys:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return False, None
    return bool(keys), value
