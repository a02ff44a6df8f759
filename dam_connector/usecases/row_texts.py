"""Issues in one line: of records, and of rows of sheets in the words of the sheet."""

import re
from collections.abc import Mapping, Sequence

from dam_connector.domain.issue import Issue
from dam_connector.domain.report_words import place_text
from schemas.sheet_headers import COLUMNS

MAX_NAMED_ROWS = 12
_COLUMN_NAMES = re.compile(r"\b(" + "|".join(name for name in COLUMNS if "_" in name) + r")\b")


def issue_text(found: Issue) -> str:
    """Return an issue of a record, e.g. `images/front: No such file (a.jpg), wanted: ...`."""
    place = f"{found.pointer.strip('/')}: " if found.pointer else ""
    return f"{place}{found.message.rstrip('.')}{_measured_and_limit(found)}"


def remedy_text(found: Issue) -> str:
    """Return an issue without its place, with the limit, or else the remedy."""
    text = f"{found.message.rstrip('.')}{_measured_and_limit(found)}"
    return text if found.limit else f"{text}. {found.remedy_for(is_admin=False).rstrip('.')}"


def row_text(found: Issue, mapping: Mapping[str, str]) -> str:
    """Return an issue of a row in the words of its sheet, with the remedy for the person who has the sheet.

    Args:
        found: the issue.
        mapping: the sheet's column names by ours.
    """
    column = column_at(found.pointer)
    place = mapping.get(column) or (column.replace("_", " ") if column else place_text(found.pointer))
    message = found.message.rstrip(".").removeprefix(f"{found.pointer.rpartition('/')[2]}: ")
    if column and message.startswith(f"{column} "):
        message = f"it {message.removeprefix(column).lstrip()}"
    message = _COLUMN_NAMES.sub(lambda m: mapping.get(m[0]) or m[0].replace("_", " "), message)
    text = f"{f'{place}: ' if place else ''}{message}{_measured_and_limit(found)}"
    has_remedy = found.limit or found.code.startswith("row.")
    return text if has_remedy else f"{text}. {found.remedy_for(is_admin=False).rstrip('.')}"


def _measured_and_limit(found: Issue) -> str:
    measured = f" ({found.measured})" if found.measured and found.measured not in found.message else ""
    return f"{measured}, wanted: {found.limit}" if found.limit else measured


def rows_text(lines: Sequence[int], one: str, many: str) -> str:
    """Return the first of some rows with the verb for their number, e.g. `Rows 2, 5 have`."""
    named = ", ".join(map(str, lines[:MAX_NAMED_ROWS]))
    more = f" and {len(lines) - MAX_NAMED_ROWS} more" if len(lines) > MAX_NAMED_ROWS else ""
    return f"Row {named} {one}" if len(lines) == 1 else f"Rows {named}{more} {many}"


def column_at(pointer: str) -> str:
    """Return our column at the place of an issue, e.g. `image_url_back` for `/images/back`, or nothing."""
    head, _, tail = pointer.strip("/").partition("/")
    if head == "images" and tail:
        head = "image_url" if tail in ("front", "any") else f"image_url_{tail}"
    elif head == "dimensions" and tail:
        head = tail.removesuffix("_m")
    elif head == "name":
        head = "product_name"
    return head if head in COLUMNS else ""
