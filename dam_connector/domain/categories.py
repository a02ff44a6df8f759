"""Categories as plugin.json and product records write them.

`Lamps`, `lamps` and ` LAMPS` are one category. Records keep theirs as written.
"""

import unicodedata
from collections.abc import Collection, Mapping
from typing import TypeVar

Value = TypeVar("Value")


def category_key(category: str) -> str:
    """Return the text by which categories are compared: without case and repeated blanks."""
    return " ".join(unicodedata.normalize("NFKC", category).split()).casefold()


def is_among(category: str, categories: Collection[str]) -> bool:
    """Return True if a category is one of those that rules name."""
    key = category_key(category)
    return category in categories or any(category_key(each) == key for each in categories)


def of_category(values: Mapping[str, Value], category: str) -> Value | None:
    """Return what rules say for a category, or None if they do not name it."""
    if category in values:
        return values[category]
    key = category_key(category)
    return next((value for name, value in values.items() if category_key(name) == key), None)


def doubled_categories(categories: Collection[str]) -> list[tuple[str, str]]:
    """Return the pairs of names that are one category, e.g. `[("Lamps", "lamps")]`."""
    seen: dict[str, str] = {}
    return [
        (first, name) for name in categories if (first := seen.setdefault(category_key(name), name)) != name
    ]
