"""The template of sheets for bulk uploads, and rows as CSV text."""

import csv
import io
from collections.abc import Iterable, Sequence

from schemas.formula_guard import disarm
from schemas.sheet_headers import COLUMNS

MIME = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


def csv_text(rows: Iterable[Sequence[str]], delimiter: str = ",") -> str:
    """Return rows as CSV text, with cells that a spreadsheet would run as formulas disarmed."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows([disarm(cell) for cell in row] for row in rows)
    return text.getvalue()


def sheet_template(form: str) -> bytes:
    """Return an empty sheet with the known columns and one example row.

    Args:
        form: "csv" or "xlsx". The workbook explains its columns on a second sheet.
    """
    columns = {name: column for name, column in COLUMNS.items() if column.in_template}
    rows = [list(columns), [c.example for c in columns.values()]]
    if form == "csv":
        return b"\xef\xbb\xbf" + csv_text(rows).encode()  # Excel reads UTF-8 only with its mark
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append([disarm(cell) for cell in row])
    notes = book.create_sheet("columns")
    for name, column in COLUMNS.items():
        notes.append([disarm(name), disarm(column.meaning)])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
