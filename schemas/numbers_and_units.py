"""Numbers and lengths as people write them, in sheets and in the records of sources.

`1.250,5` is 1250.5 and `1,250.5` is the same number: the mark behind the last group is the decimal mark. A
number such as `80,125` can be two numbers. It is read by the decimal mark of its column (`decimal_mark`), and
refused if the column does not show one; no reading is chosen by chance.
"""

import re
from collections.abc import Iterable

METRES_PER_UNIT = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 0.3048}
_UNIT_WORDS = {
    "m": "m metre metres meter meters metro metros metri mètre mètres м 米",
    "cm": "cm centimetre centimetres centimeter centimeters zentimeter centimètre centimètres centímetro "
    "centímetros centimetri centymetry см 厘米 公分 センチ",
    "mm": "mm millimetre millimetres millimeter millimeters millimètre millimètres milímetro milímetros "
    "millimetri milimetry мм 毫米 ミリ",
    "in": "in inch inches zoll pouce pouces pulgada pulgadas pollice pollici cal cale 英寸 \" ''",
    "ft": "ft foot feet fuß fuss '",
}
UNITS = {word: unit for unit, words in _UNIT_WORDS.items() for word in words.split()}
UNIT_NAMES = {"m": "metres", "cm": "centimetres", "mm": "millimetres", "in": "inches", "ft": "feet"}
_QUOTES = str.maketrans(
    {"’": "'", "‘": "'", "′": "'", "´": "'", "`": "'", "”": '"', "“": '"', "″": '"', "\u00a0": " "}
    | {"\u202f": " ", "\u2009": " ", "−": "-", "⁄": "/"}
)
_VULGAR = {
    "¼": "1/4",
    "½": "1/2",
    "¾": "3/4",
    "⅓": "1/3",
    "⅔": "2/3",
    "⅛": "1/8",
    "⅜": "3/8",
    "⅝": "5/8",
    "⅞": "7/8",
}
_LENGTH = re.compile(r"(?P<number>.*?[\d.,])\s*(?P<unit>[^\d\s.,/-][^\d/]*)?")
_FEET_AND_INCHES = re.compile(
    r"(?P<feet>\d+) ?(?:'(?!')|ft\.?|feet|foot) ?-? ?"
    r"(?P<inches>\d{1,2}(?:[ -]\d+/\d+)?|\d+/\d+|\d{1,2}[.,]\d+) ?(?:\"|''|in\.?|inch|inches)?",
    re.IGNORECASE,
)
_GROUPED_BY_SPACE = re.compile(r"\d{1,3}(?:[' ]\d{3})+(?:[.,]\d*)?")
_FRACTION = re.compile(r"(?:(?P<whole>\d+)[ -])?(?P<above>\d{1,4}) ?/ ?(?P<below>[1-9]\d{0,3})")
_MAX_CHARACTERS = 60
MAX_NUMBER = 1e6


class NotANumber(ValueError):
    """A text that is no number, or no length."""


class AmbiguousNumber(NotANumber):
    """A number that can be read in two ways; `readings` names them."""

    def __init__(self, text: str, readings: tuple[str, ...]) -> None:
        super().__init__(f"{text} can be {' or '.join(readings)}")
        self.readings = readings


class NumberCell(str):
    """The number of a workbook's cell as text: its point is the decimal mark, whatever other cells show."""

    __slots__ = ()


def unit_name(text: str) -> str:
    """Return our name of a unit, e.g. `cm` for `CM` or `Centimeter`; empty if there is no such unit."""
    return UNITS.get(text.translate(_QUOTES).strip().rstrip(".").lower(), "")


def plain_number(value: float) -> str:
    """Write a number so that its point cannot be taken for a mark of thousands, e.g. `80.1250`."""
    text = f"{value:.6g}"
    return f"{text}0" if re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", text) else text


def decimal_mark(cells: Iterable[str]) -> str:
    """Return the decimal mark that the numbers of a column show: `.` or `,`.

    Returns:
        An empty text if no cell shows one, or if cells show different ones.
    """
    shown = shown_marks(cells)
    return shown.pop() if len(shown) == 1 else ""


def shown_marks(cells: Iterable[str]) -> set[str]:
    """Return the decimal marks that are certain from the numbers in cells themselves."""
    numbers = (
        number
        for cell in cells
        if not isinstance(cell, NumberCell)
        for number in re.findall(r"[\d.,' ]+", _plain(cell))
    )
    return {mark for number in numbers if (mark := _certain_mark(number.strip(" '")))}


def _certain_mark(number: str) -> str:
    """Return the decimal mark that one number can only have; empty if it shows none."""
    if "," in number and "." in number:
        mark = max(",.", key=number.rfind)
        return mark if _grouping(number, mark) else ""
    mark, other = (",", ".") if "," in number else (".", ",")
    if number.count(mark) > 1:  # marks of thousands
        return other if _grouping(number, other) else ""
    return mark if mark in number and not _is_ambiguous(number) else ""


def _is_ambiguous(number: str) -> bool:
    """Return whether the only mark of a number can be that of decimals or that of thousands."""
    return bool(re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", number))


def _grouping(number: str, mark: str) -> bool:
    """Return whether the other mark parts a number into thousands properly."""
    other = "." if mark == "," else ","
    whole, _, decimals = number.partition(mark)
    groups = re.fullmatch(rf"\d{{1,3}}(?:{re.escape(other)}\d{{3}})+", whole)
    return bool(groups) and (decimals.isdigit() or mark not in number)


def read_number(text: str, mark: str = "") -> float:
    """Return the number in a text such as 46, 46,5, 1 046.5, 1'046.5, 1.046,5 or 18 1/2.

    Args:
        text: the text.
        mark: the decimal mark of the column, from `decimal_mark`; empty if it is not known.

    Raises:
        AmbiguousNumber: the text can be two numbers, and the column does not show which.
        NotANumber: the text is no number.
    """
    plain = _plain(text)
    if fraction := _FRACTION.fullmatch(plain):
        return int(fraction["whole"] or 0) + int(fraction["above"]) / int(fraction["below"])
    digits = plain.removeprefix("-").removeprefix("+").strip()
    if isinstance(text, NumberCell) or re.fullmatch(r"\d+(?:\.\d+)?e[+-]?\d{1,2}", digits, re.IGNORECASE):
        return _limited(float(plain), text)
    if _GROUPED_BY_SPACE.fullmatch(digits):
        digits = re.sub("[' ]", "", digits).replace(",", ".")
    else:
        digits = _with_point(digits, mark, text)
    return _limited(float(digits) * (-1 if plain.startswith("-") else 1), text)


def _with_point(digits: str, mark: str, text: str) -> str:
    """Return digits without marks of thousands and with a decimal point."""
    if not re.fullmatch(r"\d[\d.,]*|[.,]\d+", digits):
        raise NotANumber(f"{text[:40]} is no number")
    if _is_ambiguous(digits) and not mark:
        point, whole = re.sub("[.,]", ".", digits), re.sub("[.,]", "", digits)
        raise AmbiguousNumber(text[:40], (f"{point}", whole))
    mark = mark if _is_ambiguous(digits) else _certain_mark(digits)
    if not mark and re.search("[.,]", digits):
        raise NotANumber(f"{text[:40]} has marks in places that no number has")
    other = "." if mark == "," else ","
    return digits.replace(other, "").replace(mark, ".") if mark else digits


def _limited(value: float, text: str) -> float:
    if not abs(value) <= MAX_NUMBER:
        raise NotANumber(f"{text[:40]} is too large")
    return value


def read_length(text: str, mark: str = "", unit: str = "") -> float:
    """Return a length in metres.

    Args:
        text: a number with or without its unit, e.g. `46`, `46,5 cm`, `18"`, `3' 2"`, `18 1/2 in`.
        mark: the decimal mark of the column; empty if it is not known.
        unit: the unit of a number that names none.

    Raises:
        AmbiguousNumber: the number can be read in two ways.
        NotANumber: the text is no length.
    """
    number, own = split_unit(text)
    if own == "ft+in":
        return round(_feet_and_inches(text, mark) * METRES_PER_UNIT["in"], 6)
    factor = METRES_PER_UNIT[own or unit]
    return round(read_number(number, mark) * factor, 6)


def split_unit(text: str) -> tuple[str, str]:
    """Return the number and the unit of a length; the unit is empty if the text names none.

    The unit of feet and inches together (`3' 2"`) is `ft+in`.

    Raises:
        NotANumber: the text has more than a number and a known unit.
    """
    if isinstance(text, NumberCell):
        return text, ""
    plain = _plain(text)
    if _FEET_AND_INCHES.fullmatch(plain) and not _GROUPED_BY_SPACE.fullmatch(plain):
        return plain, "ft+in"
    split = _LENGTH.fullmatch(plain)
    if not split:
        raise NotANumber(f"{text[:40]} is no size")
    own = unit_name(split["unit"] or "")
    if split["unit"] and not own:
        raise NotANumber(f"{split['unit'].strip()[:20]} is no unit; known: {', '.join(METRES_PER_UNIT)}")
    return split["number"], own


def _feet_and_inches(text: str, mark: str) -> float:
    parts = _FEET_AND_INCHES.fullmatch(_plain(text))
    inches = read_number(parts["inches"], mark) if parts else 12.0
    if not parts or inches >= 12:
        raise NotANumber(f"{text[:40]} is no size in feet and inches")
    return 12 * int(parts["feet"]) + inches


def _plain(text: str) -> str:
    """Return a text with one form of quotes, blanks and fractions, and without blanks at its ends."""
    for sign, fraction in _VULGAR.items():
        text = text.replace(sign, f" {fraction}")
    return re.sub(" +", " ", text.translate(_QUOTES)[:_MAX_CHARACTERS]).strip()
