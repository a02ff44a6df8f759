"""Spreadsheets as they come: CSV in any usual encoding and with any usual separator, or XLSX; rows by the sheet's own header.

Nothing is refused for its form: a byte order mark, UTF-16, Windows-1252, semicolons, tabs, line breaks in quotes, empty lines.
"""

import csv
import io
import itertools
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dam_connector.errors import InputError

MAX_BYTES = 200_000_000
MAX_CELL = 20_000
MAX_COLUMNS = 200
MAX_UNPACKED_BYTES = 1_000_000_000
DELIMITERS = ",;\t|"
SNIFFED_LINES = 20
_XLSX = b"PK\x03\x04"
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """header: the column names as written. rows: for each row that is not empty its line in the file, from 2 on, and its cells by column."""

    header: tuple[str, ...]
    rows: Iterator[tuple[int, Mapping[str, str]]]


def read_sheet(data: bytes) -> Sheet:
    """The sheet in a CSV or XLSX file.

    Raises: InputError sheet.unreadable, sheet.empty, sheet.header.
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
        raise InputError("sheet.empty", "The file holds no row.")
    header = tuple(name.strip() for name in first[1])
    while header and not header[-1]:
        header = header[:-1]
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled or len(header) > MAX_COLUMNS:
        words = f"Columns stand twice: {', '.join(doubled)}." if doubled else f"It has {len(header)} columns."
        raise InputError("sheet.header", words, pointer=f"/rows/{first[0]}")
    return Sheet(header=header, rows=_rows(header, lines))


def _rows(
    header: tuple[str, ...], lines: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    for number, cells in lines:
        if any(c.strip() for c in cells):
            yield (
                number,
                {name: cell.strip()[:MAX_CELL] for name, cell in zip(header, cells, strict=False) if name},
            )


def _csv(data: bytes) -> Iterator[tuple[int, list[str]]]:
    text = decode_text(data)
    csv.field_size_limit(MAX_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        begins = 1
        for cells in reader:
            yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            "sheet.unreadable",
            f"The CSV does not hold together: {error}.",
            pointer=f"/rows/{reader.line_num}",
        ) from error


def decode_text(data: bytes) -> str:
    """The text: by its byte order mark, as UTF-16 without one, as UTF-8, else as Windows-1252."""
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "")
    if not encoding and b"\x00" in data[:200]:
        encoding = "utf-16-le" if data[1:2] == b"\x00" else "utf-16-be"
    for tried in (encoding,) if encoding else ("utf-8", "cp1252"):
        try:
            return data.decode(tried)
        except UnicodeDecodeError:
            continue
    if encoding:
        raise InputError("sheet.unreadable", f"The text is not the {encoding} that it begins as.")
    return data.decode("latin-1")


def _delimiter(text: str) -> str:
    """The separator that parts the first lines into the most cells, as many in each."""
    best, most = ",", 0
    for delimiter in DELIMITERS:
        counts = [
            len(cells)
            for cells in itertools.islice(
                csv.reader(io.StringIO(text[:200_000], newline=""), delimiter=delimiter), SNIFFED_LINES
            )
            if cells
        ]
        score = counts[0] if counts and counts[0] > 1 else 0
        if score > most:
            best, most = delimiter, score
    return best


def _xlsx(data: bytes) -> Iterator[tuple[int, list[str]]]:
    import openpyxl  # half a second to load, and most sheets are CSV

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            if sum(m.file_size for m in package.infolist()) > MAX_UNPACKED_BYTES:
                raise InputError(
                    "sheet.unreadable", "The workbook unpacks to more than any list of products needs."
                )
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
            yield number, ["" if c is None else _written(c) for c in cells]
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            "sheet.unreadable", f"The workbook cannot be read ({type(error).__name__})."
        ) from error


def _written(cell: object) -> str:
    """A cell as a person reads it: 46.0 is 46."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
