"""A sheet after reading: its header, its rows and notes about its form."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass


class SheetCells(dict[str, str]):
    """The cells of a row by the sheet's columns."""

    problem: str = ""  # why its cells may be in the wrong columns

    def with_surplus(self, cells: Iterable[str]) -> "SheetCells":
        """Return the row with its cells beyond the header, which no column names."""
        whole = SheetCells({**self, **{surplus_column(n): cell for n, cell in enumerate(cells)}})
        whole.problem = self.problem
        return whole


def surplus_column(number: int) -> str:
    """Return the name of a column beyond the header, from 0 on; no header can have it."""
    return f"\x1f{number}"


def surplus_cells(cells: Mapping[str, str]) -> list[str]:
    """Return the cells of a row beyond the header, in order."""
    found: list[str] = []
    while (name := surplus_column(len(found))) in cells:
        found.append(cells[name])
    return found


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
