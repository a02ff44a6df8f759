"""Rows of sheets: the known columns, other names for them, and the product that a row describes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.name_pattern_syntax import ascii_words
from dam_connector.domain.outside_values import parse_integer, parse_timestamp
from dam_connector.domain.product import Product, View
from dam_connector.domain.row_request import RequestType, RowRequest
from schemas.common import problem_lines
from schemas.product import METRES_PER_UNIT, ProductSchema, load_product

MAX_IMAGES = 4
DEFAULT_UNIT = "in"  # if a row names none, as the template says


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the template."""

    meaning: str  # what a cell holds
    example: str = ""  # in the template
    aliases: tuple[str, ...] = ()  # other names that people give it


COLUMNS: Mapping[str, Column] = {
    "sku": Column(
        "The SKU of the product. Required.",
        "CH123",
        ("item", "item number", "article", "product id", "id", "code", "Artikelnummer", "Artikel-Nr"),
    ),
    "product_name": Column(
        "The product's name.",
        "Modern Dining Chair",
        ("name", "title", "product", "product title", "Titel", "Bezeichnung", "Produktname"),
    ),
    "image_url": Column(
        "The front photo: a public URL, the name of a file uploaded with the sheet, "
        "or `dam:FILE` for a file in the DAM.",
        "https://example.com/ch123-front.jpg",
        (
            "image",
            "front",
            "image url front",
            "product image url",
            "picture",
            "photo",
            "image file name",
            "image file",
            "Bild",
            "Bild URL",
        ),
    ),
    "image_url_back": Column("The photo of its back.", "", ("back", "image back")),
    "image_url_left": Column("The photo of its left side.", "", ("left", "image left")),
    "image_url_right": Column(
        "The photo of its right side.",
        "https://example.com/ch123-right.jpg",
        ("right", "image right", "side"),
    ),
    "image_url_top": Column("The photo from above.", "", ("top", "image top")),
    "image_url_hero": Column("A three-quarter photo.", "", ("hero", "three quarter", "perspective")),
    "image_url_detail": Column("A photo of a detail.", "", ("detail", "image detail")),
    "inspiration_image": Column(
        "A picture whose colours lifestyle pictures take on.",
        "",
        ("inspiration", "mood image", "inspiration image url"),
    ),
    "height": Column("Height, in `unit`.", "33.5", ("dimensions height", "h", "Höhe")),
    "width": Column("Width, in `unit`.", "18.1", ("dimensions width", "w", "Breite")),
    "depth": Column("Depth, in `unit`.", "19.3", ("dimensions depth", "d", "length", "Tiefe", "Länge")),
    "unit": Column(
        f"{', '.join(METRES_PER_UNIT)}; {DEFAULT_UNIT} if empty.",
        "in",
        ("units", "dimension unit", "Einheit"),
    ),
    "category": Column(
        "The product's category.",
        "furniture",
        ("type", "product type", "product category", "Kategorie", "Warengruppe"),
    ),
    "brand": Column("The product's brand.", "Norrvik", ("vendor", "manufacturer", "Marke", "Hersteller")),
    "material": Column("What it is made of.", "oak, wool", ()),
    "color": Column("The product's colour.", "teal", ("colour", "Farbe")),
    "style_tags": Column("Words for its style, with commas.", "scandinavian, calm", ("tags", "style")),
    "prompt": Column(
        "Instructions for the provider that makes the pictures.", "", ("description prompt", "instructions")
    ),
    "number_of_images": Column(
        f"Lifestyle pictures, 1 to {MAX_IMAGES}.", "2", ("number of images", "images", "count", "n")
    ),
    "aspect_ratio": Column(
        "Aspect ratio of lifestyle pictures, width to height.", "4:5", ("aspect", "ratio")
    ),
    "request_type": Column(
        "Studio, Lifestyle, Model; several with commas. All if empty.",
        "Studio, Lifestyle, Model",
        ("request", "request type"),
    ),
    "target_format": Column(
        "File formats, with commas. Those of the rules if empty.",
        "glb, usdz",
        ("format", "formats", "target file type"),
    ),
    "channel": Column(
        "Channels, with commas. Those of the rules if empty.",
        "",
        ("channels", "destination", "publishing channel"),
    ),
    "live_from": Column(
        "No asset of it goes live before this date, e.g. 2026-12-01, in UTC.",
        "",
        ("embargo", "embargo until", "release date", "launch date"),
    ),
}
_TEXTS = {
    "product_name": "name",
    "category": "category",
    "brand": "brand",
    "material": "material",
    "color": "color",
    "style_tags": "style_tags",
}
_VIEWS = {"image_url": View.FRONT, **{f"image_url_{v}": v for v in View if v is not View.FRONT}}
_ASPECT = re.compile(r"[1-9]\d?:[1-9]\d?")


def guess_columns(header: tuple[str, ...]) -> dict[str, str]:
    """Return the sheet's column for each known column, by the names that people use for them.

    Known columns that are not found are left out.
    """
    plain = {_plain(name): name for name in reversed(header)}
    found: dict[str, str] = {}
    for column, spec in COLUMNS.items():
        name = next(
            (plain[_plain(known)] for known in (column, *spec.aliases) if _plain(known) in plain), None
        )
        if name is not None and name not in found.values():
            found[column] = name
    return found


def _plain(name: str) -> str:
    return " ".join(ascii_words(name)).lower()


def read_row(cells: Mapping[str, str], mapping: Mapping[str, str]) -> tuple[Product | None, list[Issue]]:
    """Return the product that a row describes with its request, or None and the issues of the row.

    Args:
        cells: The cells by the sheet's columns.
        mapping: The sheet's column for each known column.
    """
    row = {column: cells.get(name, "") for column, name in mapping.items()}
    if issues := list(_cell_issues(row)):
        return None, issues
    record: dict[str, Any] = {
        "sku": row.get("sku", ""),
        **{ours: row.get(column, "") for column, ours in _TEXTS.items()},
    }
    record["images"] = {str(view): row[column] for column, view in _VIEWS.items() if row.get(column)}
    record["inspiration_image"] = row.get("inspiration_image", "")
    record["live_from"] = (
        moment.isoformat() if (moment := parse_timestamp(row.get("live_from", ""))) else None
    )
    sizes = {axis: _number(row[axis]) for axis in ("height", "width", "depth") if row.get(axis)}
    record["dimensions"] = {**sizes, "unit": (row.get("unit") or DEFAULT_UNIT).lower()} if sizes else None
    try:
        product = load_product(record)
    except ValidationError as error:
        return None, [issue("row.value", line) for line in problem_lines(error.messages, ProductSchema())]
    return product.with_request(_request(row)), []


def product_row(product: Product) -> dict[str, str]:
    """Return the row that describes a product and its request; sizes are in centimetres."""
    d, asked = product.dimensions, product.request
    sizes = {"width": d.width_m, "height": d.height_m, "depth": d.depth_m}
    return {
        "sku": product.sku,
        **{column: getattr(product, ours) for column, ours in _TEXTS.items()},
        **{axis: f"{metres * 100:.6g}" if metres else "" for axis, metres in sizes.items()},
        "unit": "cm",
        **{column: image.url if (image := product.image(view)) else "" for column, view in _VIEWS.items()},
        "inspiration_image": product.inspiration_image,
        "prompt": asked.prompt,
        "number_of_images": str(asked.images or ""),
        "aspect_ratio": asked.aspect,
        "request_type": ", ".join(asked.types),
        "target_format": ", ".join(asked.formats),
        "channel": ", ".join(asked.channels),
        "live_from": product.live_from.isoformat() if product.live_from else "",
    }


def _cell_issues(row: Mapping[str, str]) -> Iterator[Issue]:
    """Yield issues about cells whose values their columns do not accept."""
    if not row.get("sku"):
        yield issue("row.value", "The SKU is missing.", pointer="/sku")
    for axis in ("height", "width", "depth"):
        if row.get(axis) and not (_number(row[axis]) or 0) > 0:
            yield issue(
                "row.value",
                f"{axis} is not a size.",
                pointer=f"/{axis}",
                measured=row[axis][:40],
                limit="a number above 0",
            )
    if row.get("live_from") and parse_timestamp(row["live_from"]) is None:
        yield issue(
            "row.value",
            "live_from is not a date.",
            pointer="/live_from",
            measured=row["live_from"][:40],
            limit="e.g. 2026-12-01",
        )
    unit = row.get("unit", "").lower()
    if unit and unit not in METRES_PER_UNIT:
        yield issue(
            "row.value",
            "The unit is not known.",
            pointer="/unit",
            measured=unit[:40],
            limit=", ".join(METRES_PER_UNIT),
        )
    count = row.get("number_of_images", "")
    if count and not parse_integer(count, most=MAX_IMAGES):
        yield issue(
            "row.value",
            "The number of images is not valid.",
            pointer="/number_of_images",
            measured=count[:40],
            limit=f"1 to {MAX_IMAGES}",
        )
    aspect = row.get("aspect_ratio", "")
    if aspect and not _ASPECT.fullmatch(aspect):
        yield issue(
            "row.value",
            "The aspect ratio is not valid.",
            pointer="/aspect_ratio",
            measured=aspect[:40],
            limit="e.g. 4:5",
        )
    for name in _list(row.get("request_type", "")):
        if name not in set(RequestType):
            yield issue(
                "row.value",
                "The request type is not known.",
                pointer="/request_type",
                measured=name[:40],
                limit="Studio, Lifestyle, Model",
            )


def _request(row: Mapping[str, str]) -> RowRequest:
    count = row.get("number_of_images", "")
    return RowRequest(
        types=_list(row.get("request_type", "")),
        images=parse_integer(count, most=MAX_IMAGES),
        aspect=row.get("aspect_ratio", ""),
        prompt=row.get("prompt", "")[:2000],
        formats=_list(row.get("target_format", "")),
        channels=_list(row.get("channel", "")),
    )


def _list(cell: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in re.split(r"[,;/]", cell) if part.strip())


def _number(cell: str) -> float | None:
    """Return the number in a cell such as 46, 46.5, 46,5 or 1,046.5; None if it has none."""
    text = cell.replace(" ", "").replace("\u00a0", "")
    if re.fullmatch(r"\d+,\d{1,2}", text):
        text = text.replace(",", ".")
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    return value if abs(value) < 1e6 else None
