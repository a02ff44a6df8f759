"""Names by pattern: `build` makes one, `parse` reads it back, and what cannot be read back is no pattern.

A pattern holds fields in braces, each with an optional filter: `{sku}_{name:pascal}_V{version}_{format:upper}`.
"""

import re
import string
import unicodedata
from collections.abc import Callable, Mapping

FIELDS = ("sku", "name", "version", "format", "deliverable", "slot", "view", "category", "color")
MAX_NAME_BYTES = 200  # file systems stop at 255; this leaves room for an extension and a temporary suffix
_WINDOWS_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
)


def ascii_words(text: str) -> list[str]:
    """The words of a text in plain ASCII: `Überlanger Stuhl №3` gives `['Uberlanger', 'Stuhl', 'No3']`."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return re.findall(r"[A-Za-z0-9]+", plain)


def _pascal(text: str) -> str:
    return "".join(word[0].upper() + word[1:] for word in ascii_words(text)) or "X"


def _slug(text: str) -> str:
    return "-".join(ascii_words(text)).lower() or "x"


def _snake(text: str) -> str:
    return "_".join(ascii_words(text)).lower() or "x"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+_-]+", "-", text).strip("-.") or "x"


_TEXT = r"[A-Za-z0-9+](?:[A-Za-z0-9.+_-]*[A-Za-z0-9+_])?"
FILTERS: Mapping[str, tuple[Callable[[str], str], str]] = {
    "": (_plain, _TEXT),
    "pascal": (_pascal, r"[A-Za-z0-9]+"),
    "slug": (_slug, r"[a-z0-9]+(?:-[a-z0-9]+)*"),
    "snake": (_snake, r"[a-z0-9]+(?:_[a-z0-9]+)*"),
    "upper": (lambda t: _plain(t).upper(), r"[A-Z0-9+](?:[A-Z0-9.+_-]*[A-Z0-9+_])?"),
    "lower": (lambda t: _plain(t).lower(), r"[a-z0-9+](?:[a-z0-9.+_-]*[a-z0-9+_])?"),
}
_SHAPES = {"version": r"[1-9][0-9]*", "slot": r"[1-9][0-9]*"}
_NO_SEPARATOR = {"format", "view"}


def fields_of(pattern: str) -> list[tuple[str, str, str]]:
    """The pattern's parts as (text before, field, filter); the last part may have no field.

    Raises: ValueError with the reason when the pattern is not one.
    """
    parts = []
    for text, field, spec, conversion in string.Formatter().parse(pattern):
        if conversion or (field is not None and field not in FIELDS):
            raise ValueError(f"unknown field {{{field}}}; known: {', '.join(FIELDS)}")
        if field is not None and (spec or "") not in FILTERS:
            raise ValueError(f"unknown filter {spec!r}; known: {', '.join(f for f in FILTERS if f)}")
        if re.search(r"[^A-Za-z0-9._+-]", text):
            raise ValueError(f"{text!r} holds a character that is not safe in a file name")
        parts.append((text, field or "", spec or ""))
    return parts


def build(pattern: str, values: Mapping[str, str | int]) -> str:
    """The name for these values, safe on every file system; an extension is the caller's to add.

    Raises: ValueError when the pattern is not one.
    """
    name = "".join(
        text + (FILTERS[spec][0](str(values.get(field, ""))) if field else "")
        for text, field, spec in fields_of(pattern)
    )
    if name.lower().split(".")[0] in _WINDOWS_RESERVED:
        name = f"_{name}"
    return name[:MAX_NAME_BYTES]


def canonical(pattern: str, values: Mapping[str, str | int]) -> dict[str, str]:
    """What `parse` gives back for these values: each field as its filter writes it."""
    return {f: FILTERS[spec][0](str(values.get(f, ""))) for _, f, spec in fields_of(pattern) if f}


def parse(pattern: str, name: str) -> dict[str, str] | None:
    """The fields of a name, or None when it does not follow the pattern."""
    expression, seen = "", set()
    for text, field, spec in fields_of(pattern):
        expression += re.escape(text)
        if field in seen:
            expression += f"(?P={field})"
        elif field:
            seen.add(field)
            expression += f"(?P<{field}>{_shape(field, spec)})"
    found = re.fullmatch(expression, name)
    return found.groupdict() if found else None


def is_readable(pattern: str) -> bool:
    """Whether names made by a pattern can be read back, tried on values that are hard to tell apart."""
    samples = (
        ("A-1_b.c", "Two Words 3", "big-cat_1", "dark_red-2"),
        ("1", "V2", "v-3", "V4_x"),
        ("x_V9_GLB", "a", "b", "c"),
    )
    for sku, name, category, color in samples:
        values: dict[str, str | int] = {
            "sku": sku,
            "name": name,
            "version": 12,
            "format": "glb",
            "deliverable": "pack-shot",
            "slot": 3,
            "view": "front",
            "category": category,
            "color": color,
        }
        if parse(pattern, build(pattern, values)) != canonical(pattern, values):
            return False
    return True


def _shape(field: str, spec: str) -> str:
    if field in _SHAPES:
        return _SHAPES[field]
    if field in _NO_SEPARATOR:
        return r"[A-Z0-9]+" if spec == "upper" else r"[A-Za-z0-9]+"
    return FILTERS[spec][1]


def folder(pattern: str, values: Mapping[str, str | int]) -> str:
    """The folder for these values: each part between slashes is a name of its own, none climbs."""
    return "/".join(build(part, values) for part in pattern.split("/") if part)
