"""Reading of spreadsheets as people have them.

This is the reading itself. `uploads` does it in a process within limits; all files from outside go there.

No file is refused for its form: a byte order mark, UTF-16, Windows-1252, semicolons, tabs, line breaks in
quotes, empty lines, titles above the table and sheets before it are all accepted. Whatever was ignored or
guessed is in the sheet's notes. The apostrophe before a formula, see `formula_guard`, is removed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat

from dam_connector.errors import InputError
from schemas.formula_guard import restore
from schemas.numbers_and_units import NumberCell
from schemas.sheet_forms import DELIMITERS, Line, Table, read_tables
from schemas.sheet_headers import COLUMNS, guess_columns, identifies_products
from schemas.sheet_table import Sheet, SheetCells, SheetRow
from schemas.shop_exports import adapt_export

MAX_ROWS = 200_000  # that are not empty, without the header
MAX_CELL_CHARS = 20_000  # longer cells are cut
MAX_COLUMNS = 200
HEADER_SAMPLE_ROWS = 30  # rows in which the header is searched
MIN_EXPLAINED_COLUMNS = 4  # from this number of our names in its first column on, a table explains columns
MIN_SWALLOWING_COLUMNS = 6  # from this number of columns on, lines in a cell can be recognised as rows


@dataclass(frozen=True, kw_only=True)
class _Header:
    """Where a table begins."""

    line: int
    cells: list[str]
    recognised: int  # how many of our columns it has; 0 without those that identify a product
    rows_before: int
    first_text: str  # of the first row that is not empty
    extra_cells: int  # how many cells beyond the header the rows usually have
    explains_columns: bool  # it has a row for each column, as in the template, and no products


def read_sheet(data: bytes) -> Sheet:
    """Read the sheet in a CSV or XLSX file.

    Raises:
        InputError: sheet.unreadable, sheet.empty or sheet.header.
    """
    tables = read_tables(data)
    found = [(table, header) for table in tables if (header := _find_header(table))]
    if not found:
        raise InputError("sheet.empty", "The file has no rows.")
    table, header = max(found, key=lambda pair: bool(pair[1].recognised))  # the first of several
    names = tuple(restore(name.strip()) for name in header.cells)
    while names and not names[-1]:
        names = names[:-1]
    _refuse_header(names, header.line)
    notes = (*table.notes, *_notes(table, header, found))
    return adapt_export(
        Sheet(
            header=names,
            open_rows=lambda: _rows(table, header, names),
            notes=notes,
            delimiter=table.delimiter,
        )
    )


def _refuse_header(names: tuple[str, ...], line: int) -> None:
    doubled = sorted({name for name in names if name and names.count(name) > 1})
    if doubled or len(names) > MAX_COLUMNS:
        message = (
            f"These columns exist twice: {', '.join(doubled)}."
            if doubled
            else f"The sheet has {len(names)} columns; {MAX_COLUMNS} are allowed."
        )
        raise InputError("sheet.header", message, pointer=f"/rows/{line}")


def _find_header(table: Table) -> _Header | None:
    """Return the row that names the columns; None if the table is empty.

    It is the first row with names that we know, or else the first that is as full as the others.
    """
    filled = (line for line in table.lines() if _count(line[1]))
    sample = list(islice(filled, HEADER_SAMPLE_ROWS))
    if not sample:
        return None
    scores = [_recognised(cells) for _, cells in sample]
    fullest = max(_count(cells) for _, cells in sample)
    index = next(
        (i for least in (2, 1) for i, score in enumerate(scores) if score >= least),
        next(i for i, (_, cells) in enumerate(sample) if 2 * _count(cells) >= fullest),
    )
    line, cells = sample[index]
    explains_columns = _explains_columns(sample)
    below = [len(row) - len(cells) for _, row in sample[index + 1 :]]
    return _Header(
        line=line,
        cells=cells,
        recognised=0 if explains_columns else scores[index],
        rows_before=index,
        first_text=next(c.strip() for c in sample[0][1] if c.strip()),
        extra_cells=max(0, min(below, default=0)),
        explains_columns=explains_columns,
    )


def _explains_columns(sample: Sequence[Line]) -> bool:
    """Return whether most rows begin with the name of a column of ours."""
    named = sum(1 for _, cells in sample if cells[0].strip() in COLUMNS)
    return named >= MIN_EXPLAINED_COLUMNS and 2 * named > len(sample)


def _count(cells: Sequence[str]) -> int:
    return sum(1 for c in cells if c.strip())


def _recognised(cells: list[str]) -> int:
    names = tuple(restore(name.strip()) for name in cells)
    mapping = guess_columns(names)
    return len(mapping) if identifies_products(mapping) else 0


def _notes(table: Table, header: _Header, found: list[tuple[Table, _Header]]) -> Iterator[str]:
    others = [(other, head) for other, head in found if other is not table and not head.explains_columns]
    if others:
        ignored = ", ".join(f'"{other.name}"' for other, _ in others)
        yield f'Of the workbook, the sheet "{table.name}" is read; ignored: {ignored}.'
    if doubled := [f'"{other.name}"' for other, head in others if header.recognised and head.recognised]:
        yield f"Other sheets hold products too: {', '.join(doubled)}. Upload them as files of their own."
    if header.rows_before:
        above = "1 row" if header.rows_before == 1 else f"{header.rows_before} rows"
        verb = "is" if header.rows_before == 1 else "are"
        yield (
            f"The table begins in row {header.line}; {above} above it {verb} ignored "
            f'("{header.first_text[:60]}").'
        )


def _rows(table: Table, header: _Header, names: tuple[str, ...]) -> Iterator[SheetRow]:
    count = 0
    for number, cells in _after(table.lines(), header.line):
        if _count(cells):
            count += 1
            if count > MAX_ROWS:
                message = f"The sheet has more than {MAX_ROWS} rows; upload it in parts."
                raise InputError("sheet.unreadable", message, pointer=f"/rows/{number}")
            padded = chain(cells, repeat(""))
            found = SheetCells({name: _cell(cell) for name, cell in zip(names, padded, strict=False) if name})
            found.problem = _problem(cells, header, len(names))
            surplus = [_cell(cell) for cell in cells[len(names) :]]
            yield number, found.with_surplus(surplus) if any(surplus) else found


def _after(lines: Iterator[Line], line: int) -> Iterator[Line]:
    return (each for each in lines if each[0] > line)


def _cell(cell: str) -> str:
    text = restore(cell.strip())[:MAX_CELL_CHARS]
    return NumberCell(text) if isinstance(cell, NumberCell) else text


def _problem(cells: list[str], header: _Header, columns: int) -> str:
    """Return why the cells of a row may be in the wrong columns; empty if nothing shows it."""
    extra = len(cells) - len(header.cells) - header.extra_cells
    if extra > 0 or _count(cells[len(header.cells) :]):
        return (
            f"The row has {len(cells)} cells, the header {len(header.cells)}: its cells may be in the wrong "
            "columns. Put a text that holds the separator in quotation marks"
        )
    if any(_has_swallowed_rows(cell, columns) for cell in cells):
        return "A quotation mark that is not closed has made the rows after this one part of it"
    return ""


def _has_swallowed_rows(cell: str, columns: int) -> bool:
    """Return whether lines in a cell look like rows of the sheet."""
    if "\n" not in cell or columns < MIN_SWALLOWING_COLUMNS:
        return False  # a text of several lines has a few commas too
    return any(columns - 1 in [line.count(d) for d in DELIMITERS] for line in cell.splitlines()[1:])
