"""Product exports of shops and PIMs: their columns, brought into ours.

Each export is recognised by its header. The columns that it lacks are added to every row under our names;
what was decided in doing so is in the sheet's notes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from urllib.parse import urlsplit

from dam_connector.domain.outside_values import parse_integer
from schemas.image_views import images_by_view
from schemas.sheet_headers import AXES
from schemas.sheet_table import Sheet, SheetCells, SheetRow

_VIEW_COLUMNS = ("image_url", *(f"image_url_{v}" for v in ("back", "left", "right", "top", "hero", "detail")))
_IMAGE_NOTE = (
    "The first image of a product is its front, unless names of files say otherwise (chair-left.jpg); "
    "one other is a detail, further ones are not used."
)
_COLOR_NAMES = ("color", "colour", "farbe", "couleur")


@dataclass(frozen=True, kw_only=True)
class Export:
    """An export format."""

    name: str  # the program that writes it
    columns: tuple[frozenset[str], ...]  # sets of columns, in plain lower case, each of which proves it
    added: tuple[str, ...]  # our columns that are added to each row
    notes: tuple[str, ...]  # what the conversion decides, for people
    convert: Callable[[Iterator[SheetRow]], Iterator[SheetRow]]


def adapt_export(sheet: Sheet) -> Sheet:
    """Return a sheet with our columns added if it is a known export, or else the sheet itself."""
    names = frozenset(map(_plain, sheet.header))
    export = next((e for e in EXPORTS if any(columns <= names for columns in e.columns)), None)
    if export is None:
        return sheet
    return replace(
        sheet,
        header=(*sheet.header, *(name for name in export.added if name not in sheet.header)),
        open_rows=lambda: export.convert(sheet.open_rows()),
        notes=(*sheet.notes, f"This is an export of {export.name}.", *export.notes),
    )


def _plain(name: str) -> str:
    return re.sub(r"[ _]+", " ", name).strip().lower()


class _Row:
    """A row of an export, read by plain names and written in our columns."""

    def __init__(self, cells: SheetCells) -> None:
        self._cells = cells
        self._plain = {_plain(name): cell for name, cell in cells.items() if name not in _OURS}

    def get(self, *names: str) -> str:
        """Return the first cell of these columns that is not empty."""
        return next((cell for name in names if (cell := self._plain.get(name, ""))), "")

    def items(self) -> Iterator[tuple[str, str]]:
        return iter(self._plain.items())

    def add(self, values: Mapping[str, str]) -> SheetCells:
        """Return the row with values in our columns; cells that have a value there already keep it."""
        filled = {name: value for name, value in values.items() if name in AXES or not self._cells.get(name)}
        cells = SheetCells({**self._cells, **filled})
        cells.problem = self._cells.problem
        return cells


def _images(urls: list[str], texts: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return image URLs in our columns."""
    named = [(url, f"{urlsplit(url).path}\n{(texts or {}).get(url, '')}") for url in dict.fromkeys(urls)]
    views = images_by_view(named, ("front",))
    return {"image_url" if view == "front" else f"image_url_{view}": url for view, url in views.items()}


def _split_urls(cell: str) -> list[str]:
    """Return the addresses in a cell that parts them with commas; a comma inside of an address stays."""
    return [part.strip() for part in re.split(r",\s*(?=https?://)|[,|]\s+|\s*\|\s*", cell) if part.strip()]


def _last(path: str, separator: str = ">") -> str:
    return path.rpartition(separator)[2].strip()


def _woocommerce(rows: Iterator[SheetRow]) -> Iterator[SheetRow]:
    parents: dict[str, _Row] = {}
    for line, cells in rows:
        row = _Row(cells)
        if row.get("type") == "variable":
            parents |= {f"id:{row.get('id')}": row, row.get("sku"): row}
        parent = parents.get(row.get("parent")) or row
        categories = row.get("categories") or parent.get("categories")
        values = {"product_name": row.get("name") or parent.get("name")}
        values["category"] = _last(re.split(r"(?<!\\),", categories)[0].replace("\\,", ","))
        yield (
            line,
            row.add({**values, **_images(_split_urls(row.get("images") or parent.get("images")))}),
        )


def _shopify(rows: Iterator[SheetRow]) -> Iterator[SheetRow]:
    def handle(row: SheetRow) -> str:
        return _Row(row[1]).get("handle", "url handle") or f"row {row[0]}"

    for _, group in groupby(rows, handle):
        yield from _shopify_product([(line, _Row(cells)) for line, cells in group])


def _shopify_product(rows: list[tuple[int, _Row]]) -> Iterator[SheetRow]:
    """Yield the rows of one product that are variants, with the facts and images of the product."""
    first = rows[0][1]
    pictures = [row for _, row in rows if row.get("image src", "product image url")]
    pictures.sort(key=lambda row: parse_integer(row.get("image position")) or 0)
    texts = {row.get("image src", "product image url"): row.get("image alt text") for row in pictures}
    category = first.get("type") or _last(first.get("product category"))
    for line, row in rows:
        sku = row.get("variant sku", "sku")
        if row is not first and not sku and not row.get("option1 value", "variant price", "price"):
            continue  # it only adds a picture
        own = row.get("variant image", "variant image url")
        options = {row_name.lower(): value for row_name, value in _shopify_options(first, row)}
        values = {
            "sku": sku,
            "product_name": first.get("title"),
            "brand": first.get("vendor"),
            "category": category,
            "style_tags": first.get("tags"),
            "color": next((options[name] for name in _COLOR_NAMES if name in options), ""),
            "material": options.get("material", ""),
        }
        yield line, row.add({**values, **_images([own, *texts] if own else [*texts], texts)})


def _shopify_options(first: _Row, row: _Row) -> Iterator[tuple[str, str]]:
    for number in "123":
        yield first.get(f"option{number} name"), row.get(f"option{number} value")


def _magento(rows: Iterator[SheetRow]) -> Iterator[SheetRow]:
    for line, cells in rows:
        row = _Row(cells)
        if row.get("store view code"):
            continue  # a translation of the row above
        attributes = dict(
            pair.split("=", 1) for pair in row.get("additional attributes").split(",") if "=" in pair
        )
        deepest = max(row.get("categories").split(","), key=lambda path: path.count("/"))
        values = {
            "category": _last(deepest, "/"),
            "color": attributes.get("color", ""),
            "material": attributes.get("material", ""),
        }
        more = [part.strip() for part in row.get("additional images").split(",") if part.strip()]
        main = row.get("base image", "image")
        yield line, row.add({**values, **_images([main, *more] if main else more)})


_LOCALE = r"(?:-[a-z]{2,3} [a-z]{2})?(?:-[a-z0-9 ]+)?"


def _akeneo(rows: Iterator[SheetRow]) -> Iterator[SheetRow]:
    for line, cells in rows:
        row = _Row(cells)
        values = {
            "sku": row.get("sku", "identifier"),
            "product_name": _localized(row, "name", "label", "title"),
            "category": (row.get("categories") or row.get("family")).split(",")[0],
            "brand": _localized(row, "brand", "manufacturer"),
            "color": _localized(row, "color", "colour", "main color"),
            "material": _localized(row, "material"),
        }
        for axis, names in (("height", ("height",)), ("width", ("width",)), ("depth", ("depth", "length"))):
            name = next((name for name in names if row.get(name)), names[0])
            size = row.get(name)
            values[axis] = f"{size} {row.get(f'{name}-unit')}".strip() if size[-1:].isdigit() else size
        files = [
            cell for name, cell in row.items() if re.search(r"\.(?:jpe?g|png|webp|tiff?|avif)$", cell, re.I)
        ]
        yield line, row.add({**values, **_images(files)})


def _localized(row: _Row, *names: str) -> str:
    """Return the value of an attribute, in the first locale and channel that has one."""
    pattern = re.compile(rf"(?:{'|'.join(names)}){_LOCALE}")
    return next((cell for name, cell in row.items() if cell and pattern.fullmatch(name)), "")


def _google(rows: Iterator[SheetRow]) -> Iterator[SheetRow]:
    for line, cells in rows:
        row = _Row(cells)
        category = _last(row.get("product type").split(",")[0]) or _last(row.get("google product category"))
        values = {"category": "" if category.isdigit() else category}
        urls = [row.get("image link"), *_split_urls(row.get("additional image link"))]
        yield line, row.add({**values, **_images([url for url in urls if url])})


_OURS = frozenset({*_VIEW_COLUMNS, "product_name", "category", "brand", "style_tags", "color", "material"})
EXPORTS = (
    Export(
        name="WooCommerce",
        columns=(frozenset({"id", "type", "sku", "name", "categories", "images"}),),
        added=("product_name", "category", *_VIEW_COLUMNS),
        notes=("The category is the last part of the first path in Categories.", _IMAGE_NOTE),
        convert=_woocommerce,
    ),
    Export(
        name="Shopify",
        columns=(
            frozenset({"handle", "title", "variant sku", "image src"}),
            frozenset({"url handle", "title", "sku", "product image url"}),
        ),
        added=("sku", "product_name", "brand", "category", "style_tags", "color", "material", *_VIEW_COLUMNS),
        notes=(
            "Each variant is a product; it has the facts and images of its handle. "
            "The category is Type, or else the last part of Product Category.",
            _IMAGE_NOTE,
        ),
        convert=_shopify,
    ),
    Export(
        name="Magento",
        columns=(frozenset({"sku", "attribute set code", "product type", "categories"}),),
        added=("category", "color", "material", *_VIEW_COLUMNS),
        notes=(
            "The category is the last part of the longest path in categories. "
            "Rows of a store view are translations and are not read.",
            _IMAGE_NOTE,
        ),
        convert=_magento,
    ),
    Export(
        name="Akeneo",
        columns=(
            frozenset({"sku", "categories", "enabled", "family"}),
            frozenset({"identifier", "categories", "enabled", "family"}),
        ),
        added=(
            "sku",
            "product_name",
            "category",
            "brand",
            "color",
            "material",
            "height",
            "width",
            "depth",
            *_VIEW_COLUMNS,
        ),
        notes=(
            "Texts are read in the first locale that has them. "
            "The category is the first of categories, or else the family.",
            _IMAGE_NOTE,
        ),
        convert=_akeneo,
    ),
    Export(
        name="Google Merchant Center",
        columns=(frozenset({"id", "title", "image link", "link"}),),
        added=("category", *_VIEW_COLUMNS),
        notes=("The SKU is the id. The category is the last part of product_type.", _IMAGE_NOTE),
        convert=_google,
    ),
)
