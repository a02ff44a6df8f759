"""Columns of sheets with further facts of a product: its codes, and columns such as `attributes.season`."""

import re
from collections.abc import Iterator, Mapping

from dam_connector.domain.issue import Issue, issue
from schemas.sku_cells import is_cell_error
from schemas.text_decoding import BAD_CHARACTER

CODES = ("gtin", "asin")  # columns of ours whose cells are attributes of the product
_HEADER = re.compile(r"\s*attributes?\.\s*(\S.*?)\s*", re.IGNORECASE)


def attribute_name(header: str) -> str:
    """Return the further fact that a column holds, e.g. `season` of `attributes.season`; empty if none."""
    found = _HEADER.fullmatch(header)
    return found[1] if found else ""


def read_attributes(cells: Mapping[str, str], row: Mapping[str, str]) -> dict[str, str]:
    """Return the further facts of a row.

    Args:
        cells: the cells by the sheet's columns.
        row: the cells by ours.
    """
    named = {attribute_name(header): cell for header, cell in cells.items()}
    codes = {column: row[column] for column in CODES if row.get(column)}
    return {name: value for name, cell in {**named, **codes}.items() if name and (value := cell.strip())}


def attribute_issues(cells: Mapping[str, str]) -> Iterator[Issue]:
    """Yield issues about facts that were spoiled by a spreadsheet or by their encoding."""
    for header, cell in cells.items():
        if not attribute_name(header):
            continue
        if BAD_CHARACTER in cell:
            message, limit = f"{header} has a character that cannot be read.", "a file in UTF-8"
        elif is_cell_error(cell):
            message, limit = f"{header} is the error of a formula.", "a text"
        else:
            continue
        yield issue("row.value", message, pointer=f"/{header}", measured=cell[:40], limit=limit)
