"""SKUs that are doubtful: changed by a spreadsheet, without their first zeros, or in several rows."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from schemas.numbers_and_units import NumberCell

_EXPONENT = re.compile(r"\d(?:[.,]\d+)?E\+\d{1,3}", re.IGNORECASE)
_MONTH = r"(?:jan|feb|m[aä]r|mrz|apr|ma[yi]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-zä]{0,6}\.?"
_DATE = re.compile(
    rf"\d{{1,2}}[-. ]{{1,2}}{_MONTH}|{_MONTH}[- ]\d{{2}}|\d{{4}}-\d\d-\d\d(?: \d\d:\d\d:\d\d)?", re.IGNORECASE
)
_CELL_ERROR = re.compile(r"#(?:N/A|NV|REF!|BEZUG!|VALUE!|WERT!|NAME\?|DIV/0!|NULL!|NUM!|ZAHL!)")
MAX_NUMBER_DIGITS = 15  # of a number, by spreadsheets
MAX_NAMED = 6  # rows or SKUs in a message
_AS_TEXT = "Give the column the format Text before the SKUs are typed or imported"


def is_cell_error(cell: str) -> bool:
    """Return whether a cell is the error of a formula, e.g. `#N/A`."""
    return bool(_CELL_ERROR.fullmatch(cell))


def sku_doubt(sku: str) -> str:
    """Return why a SKU is probably not the one that was typed; empty if nothing shows it."""
    if _EXPONENT.fullmatch(sku):
        return f"A spreadsheet has changed this SKU into a number and dropped digits. {_AS_TEXT}"
    is_number = isinstance(sku, NumberCell) or (sku.isdigit() and not sku[MAX_NUMBER_DIGITS:].strip("0"))
    if is_number and len(sku) > MAX_NUMBER_DIGITS:
        return f"A spreadsheet stores {MAX_NUMBER_DIGITS} digits of a number; the others are lost. {_AS_TEXT}"
    if sku in ("TRUE", "FALSE"):
        return f"A spreadsheet has changed this SKU into a truth value. {_AS_TEXT}"
    if sku.startswith("'"):
        return "It begins with an apostrophe, by which spreadsheets mark texts; remove it"
    if _DATE.fullmatch(sku):
        return f"A spreadsheet has changed this SKU into a date. {_AS_TEXT}"
    return ""


@dataclass
class SkuLengths:
    """The lengths of a sheet's SKUs, to see those that may have lost their first zeros."""

    digits: Counter[int] = field(default_factory=Counter)  # how many SKUs of digits have this length
    first: dict[int, tuple[int, str]] = field(default_factory=dict)  # line and SKU, by length
    others: int = 0  # SKUs that are no number, or begin with a zero

    def add(self, line: int, sku: str) -> None:
        """Count a SKU."""
        if not sku:
            return
        if not sku.isdigit() or sku.startswith("0"):
            self.others += 1
            return
        self.digits[len(sku)] += 1
        self.first.setdefault(len(sku), (line, sku))

    def note(self) -> str:
        """Return a note about SKUs that are shorter than most others; empty if there are none."""
        if self.others or not self.digits:
            return ""
        usual, count = self.digits.most_common(1)[0]
        short = {length: n for length, n in self.digits.items() if length < usual}
        if not short or count < 2 or count <= sum(short.values()):
            return ""
        line, sku = self.first[min(short)]
        return (
            f"{sum(short.values())} SKUs have fewer digits than the others, e.g. {sku} in row {line} instead "
            f"of {usual} digits: a spreadsheet may have dropped their first zeros."
        )


@dataclass
class SkuOccurrences:
    """The rows of each SKU of a sheet, to see those that occur twice or lost characters."""

    lines: dict[str, list[int]] = field(default_factory=dict)  # by SKU

    def add(self, line: int, sku: str) -> None:
        """Count a SKU."""
        if sku:
            self.lines.setdefault(sku, []).append(line)

    @property
    def doubled(self) -> dict[str, tuple[int, ...]]:
        """Return the rows of each SKU that occurs more than once."""
        return {sku: tuple(lines) for sku, lines in self.lines.items() if len(lines) > 1}

    def notes(self) -> Iterator[str]:
        """Yield notes about SKUs that differ in capitals alone, and about those with question marks."""
        alike: dict[str, list[str]] = {}
        for sku in self.lines:
            alike.setdefault(sku.casefold(), []).append(sku)
        twins = [self._named(skus) for skus in alike.values() if len(skus) > 1]
        if twins:
            yield (
                f"SKUs that differ in capitals alone are products of their own: {_first(twins, '; ')}. "
                "Write them alike if one product is meant."
            )
        if lost := [self._named([sku]) for sku in self.lines if "?" in sku]:
            yield (
                f"SKUs with question marks: {_first(lost, ', ')}. They often stand for characters that were "
                "lost when the sheet was saved; save it as CSV UTF-8 or XLSX."
            )

    def _named(self, skus: Iterable[str]) -> str:
        return " and ".join(f"{sku} (row {self.lines[sku][0]})" for sku in skus)


def _first(names: list[str], separator: str) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{separator.join(names[:MAX_NAMED])}{more}"


def doubled_text(sku: str, lines: Sequence[int]) -> str:
    """Return why a row whose SKU occurs in several rows is not read, for people."""
    rows = _first([str(line) for line in lines], ", ")
    return f"{sku} is in the rows {rows}. Keep one of them, or give each product a SKU of its own."
