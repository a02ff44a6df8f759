"""Sizes in one cell, such as `40 x 30 x 12 cm` in a column `Dimensions (W x D x H)`.

Which number is the width is never guessed: labels in the cell say it, or the order in the column's name.
"""

import re
from collections.abc import Mapping

from schemas.numbers_and_units import UNITS, unit_name

NAMES = frozenset(
    [
        "dimension",
        "dimensions",
        "dims",
        "dim",
        "measurement",
        "measurements",
        "measures",
        "size",
        "sizes",
        "abmessung",
        "abmessungen",
        "masse",
        "maß",
        "maße",
        "grösse",
        "größe",
        "dimensiones",
        "medidas",
        "tamaño",
        "dimensioni",
        "misure",
        "afmeting",
        "afmetingen",
        "wymiary",
        "dimensões",
    ]
)
CLOTHING_NAMES = frozenset(("size", "sizes", "grösse", "größe", "tamaño"))  # may hold `XL` or `42` as well
_FILLERS = frozenset(
    [
        "in",
        "product",
        "item",
        "overall",
        "assembled",
        "produkt",
        "artikel",
        "produit",
        "of",
        "the",
        "and",
        "total",
    ]
)
_AXIS_WORDS = {
    "width": ("width", "wide", "w", "breite", "b", "largeur", "ancho", "larghezza", "breedte", "szerokość"),
    "height": ("height", "high", "h", "höhe", "hauteur", "alto", "altura", "altezza", "hoogte", "wysokość"),
    "depth": ("depth", "deep", "d", "tiefe", "t", "profondeur", "p", "profundidad", "diepte", "głębokość"),
    "length": ("length", "long", "l", "länge", "longueur", "largo", "lunghezza", "lengte", "długość"),
    "diameter": ("ø", "⌀", "diameter", "dia", "diam", "durchmesser", "diamètre"),
}
_AXES = {word: axis for axis, words in _AXIS_WORDS.items() for word in words}
_WORDS = "|".join(sorted(map(re.escape, _AXES), key=len, reverse=True))
_BETWEEN = r"\s*[x×✕*/]\s*"
_ORDER = re.compile(rf"(?<!\w)({_WORDS}){_BETWEEN}({_WORDS}){_BETWEEN}({_WORDS})(?!\w)", re.IGNORECASE)
_PARTS = re.compile(
    r"\s*[×✕*]\s*|\s*x\s*(?=[\d.,ø⌀whdlbt])|\s+by\s+|\s*[,;/]\s+(?=[^\W\d])|\s*\n\s*"
    rf"|\s+(?=(?:{_WORDS})\s*[:=])",
    re.IGNORECASE,
)
_BLANKS = re.compile(r"\s+")
_UNIT = rf"(?:{'|'.join(sorted(map(re.escape, UNITS), key=len, reverse=True))})\.?"
_NUMBER = r"\d[\d.,]*(?:[ -]\d+/\d+)?|[.,]\d+|\d+/\d+"
_PART = re.compile(
    rf"(?:(?P<before>{_WORDS})[\s.:=]*)?(?P<number>{_NUMBER})\s*(?P<unit>{_UNIT})?\s*"
    rf"(?P<after>{_WORDS})?\.?\s*(?P<late>{_UNIT})?",
    re.IGNORECASE,
)
_QUOTES = str.maketrans({"”": '"', "“": '"', "″": '"', "’": "'", "′": "'", "\u00a0": " "})


class UnreadableSizes(ValueError):
    """A cell with numbers that are not the sizes of three axes."""


class UnknownOrder(ValueError):
    """A cell with three sizes of which nothing says which is which."""


def is_combined_size(name: str) -> bool:
    """Return whether a column's name is that of sizes in one cell, e.g. `Size (in)` or `W x D x H (mm)`."""
    rest = _ORDER.sub(" ", name)
    words = [w for w in re.findall(r"[^\W_]+", rest.lower()) if w not in UNITS and w not in _FILLERS]
    return bool(words) and set(words) <= NAMES if rest == name else set(words) <= NAMES


def may_be_clothing(name: str) -> bool:
    """Return whether a column's name is also one for sizes of clothes or shoes."""
    return bool(CLOTHING_NAMES & set(re.findall(r"[^\W_]+", name.lower())))


def order_of(name: str) -> tuple[str, ...]:
    """Return the axes in the order that a column's name shows; empty if it shows none."""
    found = _ORDER.search(name)
    axes = _resolve([_AXES[word.lower()] for word in found.groups()]) if found else ()
    return axes if set(axes) == {"width", "height", "depth"} else ()


def unit_of(name: str) -> str:
    """Return the unit that the name of a column of sizes has; empty if it has none."""
    rest = _ORDER.sub(" ", name).translate(_QUOTES)
    words = [*re.findall(r"[^\W_]+", rest.lower()), *re.findall(r"[(\[]\s*([\"'])\s*[)\]]", rest)]
    units = [unit for word in words if (unit := unit_name(word))]
    return units[-1] if units else ""


def looks_combined(cell: str) -> bool:
    """Return whether a cell holds several numbers with signs of multiplication or labels between them."""
    return sum(1 for part in _parts(cell) if re.search(r"\d", part)) > 1


def _parts(cell: str) -> list[str]:
    """Return the parts of a cell, one for each size. Blanks are made one each, or the search is quadratic."""
    plain = _BLANKS.sub(lambda run: "\n" if "\n" in run[0] else " ", cell.translate(_QUOTES).strip())
    return _PARTS.split(plain)


def read_sizes(cell: str, column: str) -> Mapping[str, str]:
    """Return the sizes in a cell as texts with their units, by axis.

    Args:
        cell: the cell.
        column: the name of its column, which may show the order and the unit.

    Raises:
        UnknownOrder: neither the cell nor the column says which size is which.
        UnreadableSizes: the cell has numbers that are not the sizes of three axes.
    """
    parts = [_PART.fullmatch(part.strip()) for part in _parts(cell) if part]
    found = [part for part in parts if part]
    if len(found) != len(parts) or not found:
        raise UnreadableSizes(cell)
    labels = [(part["before"] or part["after"] or "").lower() for part in found]
    units = [unit_name(part["unit"] or part["late"] or "") for part in found]
    named = {unit for unit in units if unit}
    if not units[-1] and named:  # `40 cm x 30 x 12`: nothing says in what the others are
        raise UnreadableSizes(cell)
    shared = units[-1] or unit_of(column)
    texts = [f"{part['number']} {unit or shared}".strip() for part, unit in zip(found, units, strict=True)]
    if all(labels):
        axes = _resolve([_AXES[label] for label in labels])
    elif any(labels):
        raise UnreadableSizes(cell)
    else:
        axes = order_of(column)
        if not axes:
            raise UnknownOrder(cell)
    if len(axes) != len(texts) or len(set(axes)) != len(axes):
        raise UnreadableSizes(cell)
    sizes = dict(zip(axes, texts, strict=True))
    if round_size := sizes.pop("diameter", ""):
        sizes = {"width": round_size, "depth": round_size, **sizes}
    return sizes


def _resolve(axes: list[str]) -> tuple[str, ...]:
    """Return the axes with a length as the one that is missing: the depth, or the width beside a depth."""
    if axes.count("length") == 2:  # `L x l x H` is French for length, width and height
        first = axes.index("length")
        axes = ["depth" if i == first else "width" if a == "length" else a for i, a in enumerate(axes)]
    other = "width" if "depth" in axes else "depth"
    return tuple(other if axis == "length" else axis for axis in axes)
