"""Naming patterns: `build_name` makes a file name from a pattern, `parse_name` reads its fields back.

A pattern has fields in braces, each with an optional filter, e.g.
`{sku}_{name:pascal}_V{version}_{format:upper}` for `CH123_Chair_V2_GLB`. The filter `0N` pads a number with
zeros, e.g. `{slot:02}`.
"""

import re
import string
from collections.abc import Callable, Collection, Mapping

from dam_connector.domain.sku_tokens import sku_token
from dam_connector.domain.transliteration import ascii_words

FIELDS = (
    *("sku", "name", "version", "format", "deliverable", "slot", "view", "category", "color"),
    *("brand", "gtin", "view_code"),
)
ATTRIBUTE = "attributes."  # what a field begins with that is one of the product's further attributes
PADDED_FIELDS = ("version", "slot", "gtin")  # numbers, which `0N` pads
SHORTENED_FIELDS = ("name", "category", "color", "brand")  # if a file name is too long, in this order
NO_VALUE = "x"  # for a value that is missing
MAX_NAME_BYTES = 200  # file systems stop at 255; this leaves room for an extension and a temporary suffix
_WINDOWS_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
)


def _pascal(text: str) -> str:
    return "".join(word[0].upper() + word[1:] for word in ascii_words(text)) or NO_VALUE.upper()


def _slug(text: str) -> str:
    return "-".join(ascii_words(text)).lower() or NO_VALUE


def _snake(text: str) -> str:
    return "_".join(ascii_words(text)).lower() or NO_VALUE


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+_-]+", "-", text).strip("-.") or NO_VALUE


_TEXT = r"[A-Za-z0-9+](?:[A-Za-z0-9.+_-]*[A-Za-z0-9+_])?"
FILTERS: Mapping[str, tuple[Callable[[str], str], str]] = {
    "": (_plain, _TEXT),
    "pascal": (_pascal, r"[A-Za-z0-9]+"),
    "slug": (_slug, r"[a-z0-9]+(?:-[a-z0-9]+)*"),
    "snake": (_snake, r"[a-z0-9]+(?:_[a-z0-9]+)*"),
    "upper": (lambda t: _plain(t).upper(), r"[A-Z0-9+](?:[A-Z0-9.+_-]*[A-Z0-9+_])?"),
    "lower": (lambda t: _plain(t).lower(), r"[a-z0-9+](?:[a-z0-9.+_-]*[a-z0-9+_])?"),
}
_SHAPES = {"version": r"[1-9][0-9]*", "slot": r"[1-9][0-9]*", "gtin": r"(?:[0-9]+|x)"}
_NO_SEPARATOR = {"format", "view", "view_code"}
_PADDING = re.compile(r"0([1-9]|1[0-9])")


def pattern_parts(pattern: str, known: Collection[str] = FIELDS) -> list[tuple[str, str, str]]:
    """Return the parts of a pattern as (text before, field, filter); the last part may have no field.

    Args:
        pattern: the pattern.
        known: the fields that it may have, besides `attributes.NAME`.

    Raises:
        ValueError: The pattern is invalid; the message says why.
    """
    parts = []
    for text, field, spec, conversion in string.Formatter().parse(pattern):
        is_known = field is None or field in known or (field.startswith(ATTRIBUTE) and field != ATTRIBUTE)
        if conversion or not is_known:
            raise ValueError(f"unknown field {{{field}}}; known: {', '.join(known)}, attributes.NAME")
        is_padded = field in PADDED_FIELDS and _PADDING.fullmatch(spec or "")
        if field is not None and (spec or "") not in FILTERS and not is_padded:
            filters = ", ".join(f for f in FILTERS if f)
            raise ValueError(
                f"unknown filter {spec!r}; known: {filters}, and 02 to 019 for {', '.join(PADDED_FIELDS)}"
            )
        if re.search(r"[^A-Za-z0-9._+-]", text):
            raise ValueError(f"{text!r} has a character that is not safe in a file name")
        parts.append((text, field or "", spec or ""))
    return parts


def build_name(pattern: str, values: Mapping[str, str | int], known: Collection[str] = FIELDS) -> str:
    """Return the name for some values, safe on every file system, without an extension.

    Args:
        pattern: the pattern.
        values: the values by field; a missing one is written as `x`.
        known: as in `pattern_parts`.

    Raises:
        ValueError: The pattern is invalid.
    """
    parts = pattern_parts(pattern, known)
    name = "".join(
        text + (written if field else "")
        for (text, field, _), written in zip(parts, _written_fields(parts, values), strict=True)
    )
    if name.lower().split(".")[0] in _WINDOWS_RESERVED:
        name = f"_{name}"
    return name[:MAX_NAME_BYTES]


def canonical_fields(pattern: str, values: Mapping[str, str | int]) -> dict[str, str]:
    """Return the fields that `parse_name` reads back for these values: each as its filter writes it."""
    parts = pattern_parts(pattern)
    written = zip(parts, _written_fields(parts, values), strict=True)
    return {field: text for (_, field, _), text in written if field}


def _written_fields(parts: list[tuple[str, str, str]], values: Mapping[str, str | int]) -> list[str]:
    """Return each field as its filter writes it; texts are shortened so that the whole name fits."""
    written = [_write_field(field, spec, values) if field else "" for _, field, spec in parts]
    too_long = sum(len(text) + len(own) for (text, *_), own in zip(parts, written, strict=True))
    too_long -= MAX_NAME_BYTES - 1  # a reserved name gets one character more
    attributes = sorted({field for _, field, _ in parts if field.startswith(ATTRIBUTE)})
    for field in (*SHORTENED_FIELDS, *attributes):
        places = [i for i, part in enumerate(parts) if part[1] == field]
        if too_long > 0 and places:
            cut = -(-too_long // len(places))
            for i in places:
                shortened = written[i][: max(1, len(written[i]) - cut)].rstrip("-._") or "x"
                too_long -= len(written[i]) - len(shortened)
                written[i] = shortened
    return written


def _write_field(field: str, spec: str, values: Mapping[str, str | int]) -> str:
    text = str(values.get(field, ""))
    if spec not in FILTERS:
        return text.zfill(int(spec)) if text.isdigit() else _plain(text)
    if field != "sku":
        return FILTERS[spec][0](text)
    token = sku_token(text) if text else "x"
    changed = {"": token, "upper": token.upper(), "lower": token.lower()}
    return changed[spec] if spec in changed else FILTERS[spec][0](token)


def parse_name(pattern: str, name: str) -> dict[str, str] | None:
    """Return the fields of a name, or None if it does not follow the pattern."""
    expression, groups = "", dict[str, str]()  # field -> group
    for text, field, spec in pattern_parts(pattern):
        expression += re.escape(text)
        if field in groups:
            expression += f"(?P={groups[field]})"
        elif field:
            groups[field] = f"field{len(groups)}"
            expression += f"(?P<{groups[field]}>{_field_expression(field, spec)})"
    found = re.fullmatch(expression, name)
    return {field: found[group] for field, group in groups.items()} if found else None


def is_reversible(pattern: str) -> bool:
    """Return True if names made by a pattern can be read back, tried on values that are hard to separate."""
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
            "brand": category,
            "gtin": "4006381333931",
            "view_code": "A1C0",
        }
        values |= {field: color for _, field, _ in pattern_parts(pattern) if field.startswith(ATTRIBUTE)}
        if parse_name(pattern, build_name(pattern, values)) != canonical_fields(pattern, values):
            return False
    return True


def _field_expression(field: str, spec: str) -> str:
    if field in _SHAPES:
        is_padded = spec not in FILTERS
        return rf"(?:[0-9]{{{int(spec)},}}|{NO_VALUE})" if is_padded else _SHAPES[field]
    if field in _NO_SEPARATOR:
        return r"[A-Z0-9]+" if spec == "upper" else r"[A-Za-z0-9]+"
    if field == "sku" and spec in ("", "upper", "lower"):
        return r"[A-Za-z0-9+~](?:[A-Za-z0-9.+_~-]*[A-Za-z0-9+_~])?"
    return FILTERS[spec][1]


def build_folder(pattern: str, values: Mapping[str, str | int]) -> str:
    """Return the folder for some values, e.g. `chairs/CH123`; each part between slashes is a safe name."""
    return "/".join(build_name(part, values) for part in pattern.split("/") if part)
