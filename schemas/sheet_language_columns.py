"""Columns of sheets with texts in other languages, e.g. `name_de`, `Description (fr)` or `color de-AT`."""

import re
from collections.abc import Collection, Iterator, Mapping

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.product import TRANSLATED_FIELDS
from dam_connector.domain.transliteration import ascii_words
from schemas.product import normal_locale
from schemas.sheet_headers import COLUMNS
from schemas.sku_cells import is_cell_error
from schemas.text_decoding import BAD_CHARACTER

# Codes of languages in ISO 639-1. `id` and `no` are mostly columns of numbers: they need a region.
_CODES = (
    "af ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl he hi hr hu hy is it ja ka kk ko lt "
    "lv mk ms mt nb nl nn pl pt ro ru sk sl sq sr sv sw ta te th tr uk ur uz vi zh"
)
LANGUAGES = frozenset(_CODES.split())
LANGUAGES_WITH_REGION = LANGUAGES | {"id", "no"}
_COLUMN_OF_FIELD = {"name": "product_name", **{each: each for each in ("color", "material", "description")}}
_NAME = re.compile(
    r"(?P<base>.+?)[\s_.:@\[(-]+(?P<language>[A-Za-z]{2,3})(?:[-_](?P<region>[A-Za-z]{2}))?\s*[\])]?"
)


def _plain(name: str) -> str:
    return " ".join(ascii_words(name)).lower()


def _names() -> dict[str, str]:
    """Return our field for each name that people give to its column."""
    found = {_plain(field): field for field in TRANSLATED_FIELDS}
    for field, column in _COLUMN_OF_FIELD.items():
        found |= {_plain(name): field for name in (column, *COLUMNS[column].aliases)}
    return found


_FIELD_BY_NAME = _names()


def translation_columns(header: Collection[str], used: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return the field and the locale of each column with texts in another language.

    Args:
        header: the columns of a sheet.
        used: those that hold something else.
    """
    found = {}
    for name in header:
        parts = _NAME.fullmatch(name.strip()) if name not in used else None
        field = _FIELD_BY_NAME.get(_plain(parts["base"])) if parts else None
        if parts is None or field is None:
            continue
        known = LANGUAGES_WITH_REGION if parts["region"] else LANGUAGES
        if parts["language"].lower() in known:
            locale = "-".join(filter(None, (parts["language"], parts["region"])))
            found[name] = (field, normal_locale(locale))
    return found


def translations_note(columns: Mapping[str, tuple[str, str]]) -> str:
    """Return a note for people about the columns that were recognised; empty if there are none."""
    shown = (f"{name} as {field} in {locale}" for name, (field, locale) in columns.items())
    return f"Texts in other languages: {', '.join(shown)}." if columns else ""


def read_translations(
    cells: Mapping[str, str], columns: Mapping[str, tuple[str, str]]
) -> dict[str, dict[str, str]]:
    """Return the texts of a row in other languages, by locale and field; the first column of each counts."""
    found: dict[str, dict[str, str]] = {}
    for name, (field, locale) in columns.items():
        if text := cells.get(name, "").strip():
            found.setdefault(locale, {}).setdefault(field, text)
    return found


def translation_issues(cells: Mapping[str, str], columns: Mapping[str, tuple[str, str]]) -> Iterator[Issue]:
    """Yield issues about texts that were spoiled by a spreadsheet or by their encoding."""
    for name in columns:
        cell = cells.get(name, "")
        if BAD_CHARACTER in cell:
            message, limit = f"{name} has a character that cannot be read.", "a file in UTF-8"
        elif is_cell_error(cell):
            message, limit = f"{name} is the error of a formula.", "a text"
        else:
            continue
        yield issue("row.value", message, pointer=f"/{name}", measured=cell[:40], limit=limit)
