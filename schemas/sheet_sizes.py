"""Sizes in the rows of a sheet: in columns of their own, or in one cell; and lines of totals."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dam_connector.domain.issue import Issue, issue
from schemas.combined_sizes import (
    UnknownOrder,
    UnreadableSizes,
    looks_combined,
    may_be_clothing,
    order_of,
    read_sizes,
    unit_of,
)
from schemas.numbers_and_units import NotANumber, shown_marks, split_unit
from schemas.sheet_headers import AXES

_TOTALS = re.compile(r"(grand )?total|sum|summe|gesamt|somme|totale|totaal|suma", re.IGNORECASE)


def sizes_of_row(row: Mapping[str, str], column: str) -> tuple[dict[str, str], Issue | None]:
    """Return the texts of a row's sizes by axis, and the issue of a cell with all of them.

    Args:
        row: the cells by our columns.
        column: the sheet's name of the column with all sizes; empty without one.
    """
    sizes = {axis: cell for axis in AXES if (cell := row.get(axis, ""))}
    cell = row.get("dimensions", "")
    if not _holds_sizes(cell, column):
        return sizes, None
    try:
        combined = read_sizes(cell, column)
    except UnknownOrder:  # a note about the sheet asks for it
        return sizes, None
    except UnreadableSizes:
        return sizes, _issue("The sizes cannot be read.", cell, "e.g. 40W x 30D x 12H cm")
    if clash := [
        axis for axis in sizes if axis in combined and _number(sizes[axis]) != _number(combined[axis])
    ]:
        message = f"{column} says another {clash[0]} than the column {clash[0]}, {sizes[clash[0]]}."
        return sizes, _issue(message, cell, "one of them")
    return {**combined, **sizes}, None


def _number(cell: str) -> str:
    try:
        return split_unit(cell)[0].strip()
    except NotANumber:
        return cell


def _holds_sizes(cell: str, column: str) -> bool:
    if not re.search(r"\d", cell):
        return False  # XL, or `see drawing`
    return looks_combined(cell) or not may_be_clothing(column)


def _issue(message: str, cell: str, limit: str) -> Issue:
    return issue("row.value", message, pointer="/dimensions", measured=cell[:60], limit=limit)


@dataclass
class CombinedCells:
    """The cells of a column with all sizes, to see their decimal marks and the rows that nobody can read."""

    column: str
    shown: dict[str, set[str]] = field(default_factory=lambda: {axis: set() for axis in AXES})
    without_unit: int = 0
    without_order: int = 0
    example: str = ""

    def add(self, cell: str) -> None:
        """Count a cell."""
        if not self.column or not _holds_sizes(cell, self.column):
            return
        try:
            sizes = read_sizes(cell, self.column)
        except UnknownOrder:
            self.without_order += 1
            self.example = self.example or cell
            return
        except UnreadableSizes:
            return
        for axis, text in sizes.items():
            self.shown[axis] |= shown_marks([text])
        self.without_unit += not any(split_unit(text)[1] for text in sizes.values())

    def shown_with(self, shown: Mapping[str, set[str]]) -> Mapping[str, set[str]]:
        """Return the decimal marks of the sizes, with those that the columns of single sizes show."""
        if not self.column:
            return shown
        return {axis: marks | shown.get(axis, set()) for axis, marks in self.shown.items()}

    def note(self) -> str:
        """Return what to ask about the column; empty if nothing."""
        if not self.without_order or order_of(self.column):
            return ""
        name = self.column.split("(")[0].strip()
        have = "1 row has its" if self.without_order == 1 else f"{self.without_order} rows have their"
        return (
            f"{have} sizes in one cell ({self.example[:40]}), and nothing says "
            f"which is which: they are not read. Name the column by their order, e.g. {name} (W x D x H, "
            f"{unit_of(self.column) or 'cm'}), or write 40W x 30D x 12H cm."
        )


@dataclass
class TotalLines:
    """The last lines of a sheet that look like totals."""

    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, cells: Mapping[str, str], mapping: Mapping[str, str]) -> None:
        """Look at a line."""
        sku = cells.get(mapping.get("sku", ""), "").strip(" :")
        if _TOTALS.fullmatch(sku):
            self.found.append((line, sku))

    def note(self) -> str:
        """Return what to ask about them; empty if there are none."""
        if not self.found:
            return ""
        line, sku = self.found[0]
        return f'Row {line} looks like a line of totals ("{sku}"). Delete it unless it is a product.'
