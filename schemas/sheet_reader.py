"""Reading of spreadsheets: CSV in any common encoding and with any common separator, or XLSX.

This is the reading itself. `uploads` does it in a process within limits; all files from outside go there.

No file is refused for its form: a byte order mark, UTF-16, Windows-1252, semicolons, tabs, line breaks in
quotes and empty lines are all accepted. The apostrophe before a formula, see `formula_guard`, is removed.
"""

import csv
import io
import itertools
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dam_connector.errors import InputError
from schemas.formula_guard import restore

MAX_BYTES = 100_000_000
MAX_ROWS = 200_000  # that are not empty, without the header
MAX_LINES = 1_048_576  # of an XLSX file, empty ones included: as many as Excel allows
MAX_CELL_CHARS = 20_000  # longer cells are cut
MAX_COLUMNS = 200
MAX_UNPACKED_BYTES = 500_000_000  # of an XLSX file, which is a ZIP
MAX_MEMBERS = 1_000  # of an XLSX file
DELIMITERS = ",;\t|"
DELIMITER_SAMPLE_LINES = 20  # lines that the separator is recognised by
_XLSX = b"PK\x03\x04"
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A sheet, whose rows are read while they are iterated."""

    header: tuple[str, ...]  # the column names as written
    rows: Iterator[
        tuple[int, Mapping[str, str]]
    ]  # of each row that is not empty: its line, and cells by column


def read_sheet(data: bytes) -> Sheet:
    """Read the sheet in a CSV or XLSX file.

    Raises:
        InputError: sheet.unreadable, sheet.empty or sheet.header.
    """
    if len(data) > MAX_BYTES:
        raise InputError(
            "sheet.unreadable",
            "The file is too large.",
            measured=f"{len(data) / 1e6:.0f} MB",
            limit=f"{MAX_BYTES / 1e6:.0f} MB",
        )
    lines = _xlsx(data) if data.startswith(_XLSX) else _csv(data)
    first = next(((n, cells) for n, cells in lines if any(c.strip() for c in cells)), None)
    if first is None:
        raise InputError("sheet.empty", "The file has no rows.")
    header = tuple(restore(name.strip()) for name in first[1])
    while header and not header[-1]:
        header = header[:-1]
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled or len(header) > MAX_COLUMNS:
        message = (
            f"These columns exist twice: {', '.join(doubled)}."
            if doubled
            else f"The sheet has more than {MAX_COLUMNS} columns."
        )
        raise InputError("sheet.header", message, pointer=f"/rows/{first[0]}")
    return Sheet(header=header, rows=_rows(header, lines))


def _rows(
    header: tuple[str, ...], lines: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    count = 0
    for number, cells in lines:
        if any(c.strip() for c in cells):
            count += 1
            if count > MAX_ROWS:
                raise InputError(
                    "sheet.unreadable",
                    f"The sheet has more than {MAX_ROWS} rows; upload it in parts.",
                    pointer=f"/rows/{number}",
                )
            yield (
                number,
                {
                    name: restore(cell.strip())[:MAX_CELL_CHARS]
                    for name, cell in zip(header, cells, strict=False)
                    if name
                },
            )


def _csv(data: bytes) -> Iterator[tuple[int, list[str]]]:
    text = decode_text(data)
    csv.field_size_limit(MAX_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        first_line = 1  # a row with line breaks in quotes has several lines
        for cells in reader:
            yield first_line, cells
            first_line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            "sheet.unreadable",
            f"The CSV is not valid: {error}.",
            pointer=f"/rows/{reader.line_num}",
        ) from error


def decode_text(data: bytes) -> str:
    """Decode the bytes of a text file.

    The encoding is that of the byte order mark, UTF-16 if there are NUL bytes, UTF-8 if the bytes are valid,
    or else Windows-1252.

    Raises:
        InputError: sheet.unreadable: the bytes are not valid in the encoding that the beginning suggests.
    """
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "")
    if not encoding and b"\x00" in data[:200]:
        encoding = "utf-16-le" if data[1:2] == b"\x00" else "utf-16-be"
    for candidate in (encoding,) if encoding else ("utf-8", "cp1252"):
        try:
            return data.decode(candidate)
        except UnicodeDecodeError:
            continue
    if encoding:
        raise InputError("sheet.unreadable", f"The text begins as {encoding}, but is not valid.")
    return data.decode("latin-1")


def _delimiter(text: str) -> str:
    """Return the separator that splits the first lines into the most cells, the same number in each."""
    best, best_score = ",", 0
    for delimiter in DELIMITERS:
        counts = [
            len(cells)
            for cells in itertools.islice(
                csv.reader(io.StringIO(text[:200_000], newline=""), delimiter=delimiter),
                DELIMITER_SAMPLE_LINES,
            )
            if cells
        ]
        score = counts[0] if counts and counts[0] > 1 else 0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _xlsx(data: bytes) -> Iterator[tuple[int, list[str]]]:
    import openpyxl  # here because it takes half a second to load, and most sheets are CSV

    try:
        _check_package(data)
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # the claimed ones may be a million rows of 16,384 cells each
        width = 0  # of the first row that is not empty, which is the header: later rows are filled up to it
        for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
            if number > MAX_LINES:
                raise InputError("sheet.unreadable", f"The workbook has more than {MAX_LINES} lines.")
            texts = ["" if c is None else _cell_text(c) for c in cells[: MAX_COLUMNS + 1]]
            width = width or (len(texts) if any(texts) else 0)
            yield number, texts + [""] * (width - len(texts))
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            "sheet.unreadable", f"The workbook cannot be read ({type(error).__name__})."
        ) from error


def _check_package(data: bytes) -> None:
    """Check the size of a workbook's ZIP. Raises: InputError."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        members = package.infolist()
    size = sum(member.file_size for member in members)
    if size > MAX_UNPACKED_BYTES or len(members) > MAX_MEMBERS:
        raise InputError(
            "sheet.unreadable",
            "The workbook unpacks to too much.",
            measured=f"{size / 1e6:.0f} MB in {len(members)} files",
            limit=f"{MAX_UNPACKED_BYTES / 1e6:.0f} MB in {MAX_MEMBERS} files",
        )


def _cell_text(cell: object) -> str:
    """Return a cell as a person reads it: 46.0 is `46`."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
