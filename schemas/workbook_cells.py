"""Cells of workbooks as a person sees them, and what the file says about cells beside their values."""

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from schemas.numbers_and_units import NumberCell, plain_number

UNCALCULATED = "#UNCALCULATED!"  # the text of a cell whose formula has no value
MAX_REMARKS = 100_000  # of each kind, in one sheet
_CHUNK_BYTES = 1_048_576
_OVERLAP_BYTES = 8_192  # longer elements are not seen
# The attributes of a tag have few characters; longer tags are passed over, so that no tag costs much time.
_ROW = rb'<row\b[^<>]{0,200}?\br="(?P<row>\d{1,7})"[^<>]{0,200}?\bhidden="(?:1|true)"'
_MERGED = (
    rb'<mergeCell\b[^<>]{0,99}?\bref="(?P<column>[A-Z]{1,3})(?P<first>\d{1,7}):[A-Z]{1,3}(?P<last>\d{1,7})"'
)
_FORMULA = (
    rb'<c\b(?![^<>]{0,200}\bt="str")[^<>]{0,200}?\br="(?P<formula>[A-Z]{1,3}\d{1,7})"[^<>]{0,200}>\s{0,99}'
    rb"<f\b(?:[^<>]{0,200}/>|[^<>]{0,200}>[^<]{0,4000}</f>)\s{0,99}(?:<v\s?/>|<v>\s{0,99}</v>)?\s{0,99}</c>"
)
_REMARK = re.compile(b"|".join((_ROW, _MERGED, _FORMULA)))
# A number with texts around it, e.g. `0.0" mm"` or `"SKU-"000`; other formats change no meaning.
_AROUND = re.compile(r'(?:"([^"]*)")?\s?(0+|#|General|(?:#,##)?0\.[0#]+|#,##0)(\s?)(?:"([^"]*)")?')
_CURRENCY = re.compile(r"\[\$([^\]\-]+)|([$€£¥])")
_QUOTED = re.compile(r'"[^"]*"|\\.')


@dataclass
class SheetRemarks:
    """What the file of a sheet says about its cells beside their values."""

    merged: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # by first row: column, last row
    hidden: list[int] = field(default_factory=list)  # rows
    uncalculated: dict[int, set[int]] = field(default_factory=dict)  # by row: columns

    def notes(self) -> Iterator[str]:
        """Yield the remarks for people."""
        if self.merged:
            first = min(self.merged)
            count = sum(map(len, self.merged.values()))
            many = f"{count} ranges of merged cells" if count > 1 else "A range of merged cells"
            yield f"{many} (row {first}): the value counts for each of the rows."
        if self.hidden:
            many = f"{len(self.hidden)} rows are" if len(self.hidden) > 1 else "1 row is"
            yield f"{many} hidden in the workbook, e.g. row {min(self.hidden)}; they are read like others."


def read_remarks(xml: IO[bytes]) -> SheetRemarks:
    """Read the remarks in the XML of a worksheet, a piece at a time."""
    found, data = SheetRemarks(), b""
    while chunk := xml.read(_CHUNK_BYTES):
        data = data[-_OVERLAP_BYTES:] + chunk
        for match in _REMARK.finditer(data):
            _add_remark(found, match)
    return found


def _add_remark(found: SheetRemarks, match: "re.Match[bytes]") -> None:
    if match["row"] and int(match["row"]) not in found.hidden[-1:] and len(found.hidden) < MAX_REMARKS:
        found.hidden.append(int(match["row"]))
    elif match["formula"]:
        letters, row = re.fullmatch(rb"([A-Z]+)(\d+)", match["formula"]).groups()  # type: ignore[union-attr]
        if len(found.uncalculated) < MAX_REMARKS:
            found.uncalculated.setdefault(int(row), set()).add(_column(letters))
    elif match["column"] and int(match["last"]) > int(match["first"]) and len(found.merged) < MAX_REMARKS:
        ranges = found.merged.setdefault(int(match["first"]), [])
        merged = (_column(match["column"]), int(match["last"]))
        if merged not in ranges:
            ranges.append(merged)


def _column(letters: bytes) -> int:
    """Return the index of a column, from 0 on."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1


def with_remarks(
    lines: Iterator[tuple[int, list[str]]], remarks: SheetRemarks
) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines with the values of merged cells in each of their rows, and formulas without a value."""
    open_ranges: dict[int, tuple[str, int]] = {}  # value and last row, by column
    for number, cells in lines:
        for column in remarks.uncalculated.get(number, ()):
            if column < len(cells) and not cells[column]:
                cells[column] = UNCALCULATED
        for column, (value, last) in list(open_ranges.items()):
            if number > last:
                del open_ranges[column]
            elif column < len(cells) and not cells[column]:
                cells[column] = value
        for column, last in remarks.merged.get(number, ()):
            if column < len(cells):
                open_ranges[column] = (cells[column], last)
        yield number, cells


def cell_text(cell: Any) -> str:
    """Return a cell as a person reads it, e.g. `46` for 46.0, `00123` for 123 in the format 00000."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return str(value.date())
    if isinstance(value, bool):
        return str(value).upper()
    if not isinstance(value, (int, float)):
        return str(value)
    return _number_text(value, (cell.number_format or "").split(";")[0])


def _number_text(value: int | float, number_format: str) -> str:
    """Return a number with what its format shows around it."""
    plain = _QUOTED.sub("", number_format)
    if "%" in plain:
        return f"{value * 100:.10g}%"
    if currency := _CURRENCY.search(number_format):
        return f"{currency[1] or currency[2]}{value:.15g}"
    around = _AROUND.fullmatch(number_format)
    digits: str = NumberCell(value)
    if isinstance(value, int) or value.is_integer():
        zeros = around[2] if around and re.fullmatch("0+", around[2]) else ""
        digits = NumberCell(str(int(value)).zfill(len(zeros)))
    if around and (around[1] or around[4]):
        shown = digits if digits.lstrip("-").isdigit() else plain_number(value)
        return f"{around[1] or ''}{shown}{around[3]}{around[4] or ''}"
    return digits
