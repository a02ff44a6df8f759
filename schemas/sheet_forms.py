"""The forms of spreadsheets: CSV and XLSX as lines of cells; other forms are refused by their names."""

import csv
import io
import itertools
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from dam_connector.errors import InputError
from schemas.text_decoding import decode_text
from schemas.workbook_cells import cell_text, read_remarks, with_remarks

MAX_BYTES = 100_000_000
MAX_UNPACKED_BYTES = 500_000_000  # of an XLSX file, which is a ZIP
MAX_RATIO = 250  # of unpacked to packed bytes; the references of cells keep real sheets below 60
MIN_RATIO_BYTES = 50_000_000  # unpacked, below which the ratio does not matter
MAX_MEMBERS = 1_000  # of an XLSX file
MAX_CELLS = 1_000  # read of each line; far more than columns are allowed
MAX_LINES = 1_048_576  # of an XLSX file, empty ones included: as many as Excel allows
DELIMITERS = ",;\t|"
DELIMITER_SAMPLE_LINES = 30  # lines that the separator is recognised by
Line = tuple[int, list[str]]  # the number of a row in its file, and its cells
_ZIP = b"PK\x03\x04"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[ ,;\t]*\r?(?:\n|$)', re.IGNORECASE)
_FORMULA_OF_TEXT = re.compile(r'="([^"]*)"')
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SAVE_AS = "Open it in the program that made it and save it as XLSX or CSV (UTF-8)."


@dataclass(frozen=True, kw_only=True)
class Table:
    """One sheet of a file."""

    name: str  # of a workbook's sheet; empty for CSV
    lines: Callable[[], Iterator[Line]]  # begins at the first row with each call
    notes: tuple[str, ...] = ()
    delimiter: str = ","  # of CSV


def read_tables(data: bytes) -> list[Table]:
    """Return the sheets of a CSV or XLSX file that are not hidden.

    Raises:
        InputError: sheet.unreadable.
    """
    if len(data) > MAX_BYTES:
        raise InputError(
            "sheet.unreadable",
            "The file is too large.",
            measured=f"{len(data) / 1e6:.0f} MB",
            limit=f"{MAX_BYTES / 1e6:.0f} MB",
        )
    if found := _other_form(data):
        raise InputError("sheet.unreadable", f"The file is {found}. {_SAVE_AS}")
    return _workbook_tables(data) if data.startswith(_ZIP) else [_csv_table(data)]


def _other_form(data: bytes) -> str:
    """Return what a file is that is neither CSV nor XLSX; empty if it may be one of them."""
    head = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if data.startswith(_OLE):
        encrypted = "EncryptedPackage".encode("utf-16-le") in data
        return "a workbook with a password" if encrypted else "an old workbook of Excel (.xls)"
    if head.startswith(b"%pdf"):
        return "a PDF"
    if head.startswith((b"<!doctype html", b"<html", b"<table", b"<meta")):
        return "a web page, whatever its name"
    if head.startswith(b"<?xml"):
        return "XML: an old workbook or a feed"
    if head.startswith((b'{"', b"{\n", b"{ ", b"[{", b"[\n")):
        return "JSON: products in JSON are for `dam-connector product add`"
    return ""


def _csv_table(data: bytes) -> Table:
    text, notes = decode_text(data)
    csv.field_size_limit(MAX_BYTES)
    named = _SEPARATOR_LINE.match(text)
    delimiter = named[1] if named else _delimiter(text)
    lines = partial(_csv_lines, text, delimiter, names_delimiter=bool(named))
    return Table(name="", lines=lines, notes=notes, delimiter=delimiter)


def _csv_lines(text: str, delimiter: str, *, names_delimiter: bool) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    first_line = 1  # a row with line breaks in quotes has several lines
    cells: list[str] = []
    try:
        for cells in reader:
            if not (names_delimiter and first_line == 1):
                yield first_line, [_without_formula_of_text(cell) for cell in cells]
            last_line, first_line = first_line, reader.line_num + 1
    except csv.Error as error:
        message = f"The CSV is not valid: {error}."
        raise InputError("sheet.unreadable", message, pointer=f"/rows/{reader.line_num}") from error
    if any("\n" in cell or "\r" in cell for cell in cells):
        _refuse_open_quote(text, last_line, delimiter)


def _without_formula_of_text(cell: str) -> str:
    """Return `0042` for `="0042"`, by which texts are kept from becoming numbers."""
    found = _FORMULA_OF_TEXT.fullmatch(cell) if cell.startswith("=") else None
    return found[1] if found else cell


def _refuse_open_quote(text: str, line: int, delimiter: str) -> None:
    """Refuse a text whose last row, which begins in a line, has a quote that is never closed."""
    rest = itertools.islice(io.StringIO(text, newline=""), line - 1, None)
    try:
        list(csv.reader(rest, delimiter=delimiter, strict=True))
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            message = f"A quotation mark opens in row {line} and never closes: all rows after it are in it."
            raise InputError("sheet.unreadable", message, pointer=f"/rows/{line}") from error


def _delimiter(text: str) -> str:
    """Return the separator that splits the most of the first lines into one number of cells."""
    best, best_score = ",", (0, 0)
    for delimiter in DELIMITERS:
        rows = csv.reader(io.StringIO(text[:200_000], newline=""), delimiter=delimiter)
        counts = Counter(len(cells) for cells in itertools.islice(rows, DELIMITER_SAMPLE_LINES))
        score = max(((rows, cells) for cells, rows in counts.items() if cells > 1), default=(0, 0))
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _workbook_tables(data: bytes) -> list[Table]:
    with _workbook_errors(), zipfile.ZipFile(io.BytesIO(data)) as package:
        names = set(package.namelist())
        if "xl/workbook.xml" not in names:
            raise InputError("sheet.unreadable", f"The file is {_zip_form(names, package)}. {_SAVE_AS}")
        size, count = sum(m.file_size for m in package.infolist()), len(package.infolist())
        is_bomb = size > MIN_RATIO_BYTES and size > MAX_RATIO * len(data)
        if size > MAX_UNPACKED_BYTES or count > MAX_MEMBERS or is_bomb:
            raise InputError(
                "sheet.unreadable",
                "The workbook unpacks to too much.",
                measured=f"{size / 1e6:.0f} MB in {count} files",
                limit=f"{MAX_UNPACKED_BYTES / 1e6:.0f} MB in {MAX_MEMBERS} files, {MAX_RATIO} times its size",
            )
    import openpyxl  # here because it takes half a second to load, and most sheets are CSV

    with _workbook_errors():
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
        return [_workbook_table(sheet) for sheet in shown]


def _zip_form(names: set[str], package: zipfile.ZipFile) -> str:
    if "xl/workbook.bin" in names:
        return "a binary workbook (.xlsb)"
    if "mimetype" in names and b"opendocument" in package.read("mimetype")[:100]:
        return "a document of OpenOffice or LibreOffice (.ods)"
    if any(name.startswith("Index/") for name in names):
        return "a document of Apple Numbers"
    return "a ZIP, and no workbook: unpack it and upload the sheet in it"


def _workbook_table(sheet: Any) -> Table:
    with sheet._get_source() as xml:  # openpyxl leaves these out where it reads a piece at a time
        remarks = read_remarks(xml)
    lines = _workbook_lines_of(sheet)
    notes = tuple(remarks.notes())
    return Table(name=sheet.title, lines=lambda: with_remarks(lines(), remarks), notes=notes)


def _workbook_lines_of(sheet: Any) -> Callable[[], Iterator[Line]]:
    def lines() -> Iterator[Line]:
        with _workbook_errors():
            sheet.reset_dimensions()  # the size that the file names may be wrong
            for number, cells in enumerate(sheet.iter_rows(), 1):
                if number > MAX_LINES:
                    raise InputError("sheet.unreadable", f"The workbook has more than {MAX_LINES} lines.")
                yield number, [cell_text(cell) for cell in cells[:MAX_CELLS]]

    return lines


@contextmanager
def _workbook_errors() -> Iterator[None]:
    try:
        yield
    except (InputError, GeneratorExit):
        raise
    except Exception as error:
        message = f"The workbook is damaged, or is none. {_SAVE_AS}"
        raise InputError("sheet.unreadable", message) from error
