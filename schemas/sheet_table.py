"""A sheet after reading: its header, its rows and notes about its form."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass


class SheetCells(dict[str, str]):
    """The cells of a row by the sheet's columns."""

    problem: str = ""  # why its cells may be in the wrong columns


SheetRow = tuple[int, SheetCells]  # the line in the file, and the cells


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A sheet, whose rows are read while they are iterated."""

    header: tuple[str, ...]  # the column names as written
    open_rows: Callable[[], Iterator[SheetRow]]  # begins at the first row with each call
    notes: tuple[str, ...] = ()  # what was ignored or guessed, for people
    delimiter: str = ","  # between the cells of a CSV file; a comma for a workbook

    @property
    def rows(self) -> Iterator[SheetRow]:
        """Return the rows that are not empty, from the first one on."""
        return self.open_rows()
