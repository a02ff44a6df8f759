"""Rows of sheets: the product that a row describes, read by what its sheet shows about its columns."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.outside_values import parse_integer
from dam_connector.domain.product import Product, View
from dam_connector.domain.row_request import RequestType, RowRequest
from dam_connector.domain.sku_tokens import MAX_SKU_LENGTH
from dam_connector.domain.transliteration import ascii_words
from schemas.common import problem_lines
from schemas.numbers_and_units import (
    METRES_PER_UNIT,
    UNIT_NAMES,
    AmbiguousNumber,
    NotANumber,
    plain_number,
    read_length,
    shown_marks,
    split_unit,
    unit_name,
)
from schemas.product import ProductSchema, load_product
from schemas.sheet_attributes import attribute_issues, read_attributes
from schemas.sheet_dates import date_remedy, read_date
from schemas.sheet_headers import AXES, DEFAULT_UNIT, MAX_IMAGES, header_unit
from schemas.sheet_language_columns import (
    read_translations,
    translation_columns,
    translation_issues,
    translations_note,
)
from schemas.sheet_sizes import CombinedCells, TotalLines, sizes_of_row
from schemas.sheet_table import Sheet
from schemas.sku_cells import SkuLengths, SkuOccurrences, doubled_text, is_cell_error, sku_doubt
from schemas.text_decoding import BAD_CHARACTER
from schemas.text_doubts import DoubtfulTexts
from schemas.workbook_cells import UNCALCULATED

_TEXTS = {
    "product_name": "name",
    "category": "category",
    "brand": "brand",
    "material": "material",
    "color": "color",
    "description": "description",
    "style_tags": "style_tags",
}
_VIEWS = {"image_url": View.FRONT, **{f"image_url_{v}": v for v in View if v is not View.FRONT}}
_UNITS_IN_HEADER = "put the unit into the name of the column: Width (cm)"
_SIZE_LIMIT = "a number above 0, with its unit if the column names none: 85 cm"
_ASPECT = re.compile(r"[1-9]\d?:[1-9]\d?")
MOMENTS = ("live_from", "live_until")  # columns with a date


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetFacts:
    """Facts about a sheet's columns as a whole, by which single cells are read."""

    marks: Mapping[str, str]  # the decimal mark of a size, if the column or the others show it
    units: Mapping[str, str]  # the unit that the header of a size names
    shared_unit: str = ""  # the one unit in the headers, for sizes whose own header names none
    combined_column: str = ""  # its column of sizes in one cell, if it has one
    unit_row: int = 0  # the row that holds units in place of sizes, or 0
    # field and locale of each column with texts in another language
    translations: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    doubled: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # the rows of SKUs in several rows
    makes_skus: bool = False  # the sheet has none: they are made from the names
    notes: tuple[str, ...] = ()  # for people


def survey_sheet(sheet: Sheet, mapping: Mapping[str, str]) -> SheetFacts:
    """Read all rows of a sheet once, for the facts that no single cell shows.

    Args:
        sheet: the sheet.
        mapping: the sheet's column for each known column.
    """
    shown: dict[str, set[str]] = {axis: set() for axis in AXES if axis in mapping}
    units, lengths, occurrences = _header_units(mapping), SkuLengths(), SkuOccurrences()
    makes_skus = "sku" not in mapping
    combined, totals = CombinedCells(mapping.get("dimensions", "")), TotalLines()
    without_unit = unit_row = 0
    texts = DoubtfulTexts()
    for line, cells in sheet.rows:
        named = cells.get(mapping.get("product_name" if makes_skus else "sku", ""), "")
        sku = sku_from_name(named) if makes_skus else named
        lengths.add(line, "" if makes_skus else sku)
        occurrences.add(line, sku)
        sizes = {axis: cell for axis in shown if (cell := cells.get(mapping[axis], ""))}
        for axis, cell in sizes.items():
            shown[axis] |= shown_marks([cell])
        if sizes and (makes_skus or not sku) and all(map(unit_name, sizes.values())):
            unit_row = unit_row or line
            continue
        texts.add(line, (cells.get(mapping[c], "") for c in _TEXTS if c in mapping))
        unit_cell = cells.get(mapping.get("unit", ""), "")
        without_unit += not unit_cell and any(
            not units.get(axis) and not _own_unit(cell) for axis, cell in sizes.items()
        )
        combined.add(cells.get(mapping.get("dimensions", ""), ""))
        totals.add(line, cells, mapping)
    translations = translation_columns(sheet.header, mapping.values())
    found = (lengths.note(), combined.note(), totals.note(), texts.note(), translations_note(translations))
    notes = [*(note for note in found if note), *occurrences.notes()]
    without_unit += combined.without_unit
    if unit_row:
        notes.append(f"Row {unit_row} holds units, which are not read there: {_UNITS_IN_HEADER}.")
    elif without_unit:
        have = "1 row has" if without_unit == 1 else f"{without_unit} rows have"
        notes.append(f"{have} sizes without a unit; {_read_in(units, mapping)}.")
    if makes_skus:
        notes.append("The sheet has no SKUs: each is made from the product's name.")
    return SheetFacts(
        marks=_marks(combined.shown_with(shown)),
        units=units,
        shared_unit=_shared_unit(units),
        combined_column=mapping.get("dimensions", ""),
        unit_row=unit_row,
        translations=translations,
        doubled=occurrences.doubled,
        makes_skus=makes_skus,
        notes=tuple(notes),
    )


def _marks(shown: Mapping[str, set[str]]) -> dict[str, str]:
    """Return the decimal mark of each size: that of its column, or else of all sizes together."""
    together = set().union(*shown.values())
    candidates = {axis: own or together for axis, own in shown.items()}
    return {axis: next(iter(marks)) for axis, marks in candidates.items() if len(marks) == 1}


def _header_units(mapping: Mapping[str, str]) -> dict[str, str]:
    return {axis: unit for axis in AXES if axis in mapping and (unit := header_unit(mapping[axis]))}


def _shared_unit(units: Mapping[str, str]) -> str:
    """Return the unit that all headers with a unit name; empty if none does, or if they differ."""
    named = set(units.values())
    return named.pop() if len(named) == 1 else ""


def _read_in(units: Mapping[str, str], mapping: Mapping[str, str]) -> str:
    """Return in which unit sizes without one are read, and where it is from."""
    if unit := _shared_unit(units):
        column = mapping[next(axis for axis in AXES if axis in units)]
        return f'they are read in {UNIT_NAMES[unit]}, the unit of the column "{column}"'
    return f"they are read in {UNIT_NAMES[DEFAULT_UNIT]}"


def _own_unit(cell: str) -> str:
    try:
        return split_unit(cell)[1]
    except NotANumber:
        return ""


def read_row(
    cells: Mapping[str, str], mapping: Mapping[str, str], facts: SheetFacts | None = None
) -> tuple[Product | None, list[Issue]]:
    """Return the product that a row describes with its request, or None and the issues of the row.

    Args:
        cells: The cells by the sheet's columns.
        mapping: The sheet's column for each known column.
        facts: The facts of the whole sheet; None: the row is the only one.
    """
    row = {column: cells.get(name, "") for column, name in mapping.items()}
    if facts is None:
        shown = {axis: shown_marks([row[axis]]) for axis in AXES if row.get(axis)}
        units = _header_units(mapping)
        facts = SheetFacts(
            marks=_marks(shown),
            units=units,
            shared_unit=_shared_unit(units),
            combined_column=mapping.get("dimensions", ""),
            translations=translation_columns(cells.keys(), mapping.values()),
        )
    if facts.makes_skus:
        row["sku"] = sku_from_name(row.get("product_name", ""))
    if problem := getattr(cells, "problem", ""):
        return None, [issue("row.shifted", f"{problem}.")]
    if is_header_again(row, mapping):
        return None, [issue("row.value", "The row repeats the names of the columns; delete it.")]
    if not row.get("sku") and _holds_units(row):
        message = "The row holds units and no product; delete it."
        return None, [issue("row.value", message, limit=_UNITS_IN_HEADER)]
    if (sku := str(row.get("sku", ""))) in facts.doubled:
        message = doubled_text(sku, facts.doubled[sku])
        return None, [issue("row.duplicate", message, pointer="/sku", measured=sku)]
    sizes, issues = _read_sizes(row, facts)
    spoiled = translation_issues(cells, facts.translations)
    if issues := [*_cell_issues(row), *spoiled, *attribute_issues(cells), *issues]:
        return None, issues
    record: dict[str, Any] = {
        "sku": sku,
        **{ours: str(row.get(column, "")) for column, ours in _TEXTS.items()},
    }
    record["images"] = {str(view): row[column] for column, view in _VIEWS.items() if row.get(column)}
    record["spin_images"] = str(row.get("spin_images", ""))
    record["walk_images"] = str(row.get("walk_images", ""))
    record["inspiration_image"] = row.get("inspiration_image", "")
    record["model_url"] = row.get("model_url", "")
    record["parent"] = row.get("parent", "")
    record["swatch"] = row.get("swatch", "")
    for column in MOMENTS:
        moment = read_date(row.get(column, ""))
        record[column] = moment.isoformat() if moment else None
    record["translations"] = read_translations(cells, facts.translations)
    record["attributes"] = read_attributes(cells, row)
    record["dimensions"] = {**sizes, "unit": "m"} if sizes else None
    try:
        product = load_product(record)
    except ValidationError as error:
        lines = problem_lines(error.messages, ProductSchema())
        return None, [_field_issue(line) for line in lines]
    return product.with_request(_request(row)), []


def _field_issue(line: str) -> Issue:
    """Return the issue of a line such as `/images/front: is no address`."""
    pointer, colon, message = line.partition(": ")
    if not colon or not pointer.startswith("/"):
        return issue("row.value", line)
    return issue("row.value", message[:1].upper() + message[1:], pointer=pointer)


def is_header_again(row: Mapping[str, str], mapping: Mapping[str, str]) -> bool:
    """Return whether the cells of a row are the names of their columns, as where exports were joined."""
    filled = {column: cell for column, cell in row.items() if cell and column in mapping}
    return len(filled) > 1 and all(
        cell.casefold() == mapping[column].casefold() for column, cell in filled.items()
    )


def _holds_units(row: Mapping[str, str]) -> bool:
    sizes = [row[axis] for axis in AXES if row.get(axis)]
    return bool(sizes) and all(map(unit_name, sizes))


def sku_from_name(name: str) -> str:
    """Return a SKU for a product that has none: the words of its name, e.g. `MODERN-DINING-CHAIR`."""
    return "-".join(ascii_words(name)).upper()[:MAX_SKU_LENGTH].strip("-")


def product_row(product: Product) -> dict[str, str]:
    """Return the row that describes a product and its request; sizes are in centimetres."""
    d, asked = product.dimensions, product.request
    sizes = {"width": d.width_m, "height": d.height_m, "depth": d.depth_m}
    return {
        "sku": product.sku,
        **{column: getattr(product, ours) for column, ours in _TEXTS.items()},
        **{axis: plain_number(metres * 100) if metres else "" for axis, metres in sizes.items()},
        "unit": "cm",
        **{column: image.url if (image := product.image(view)) else "" for column, view in _VIEWS.items()},
        "spin_images": "\n".join(product.spin_images),
        "walk_images": "\n".join(product.walk_images),
        "inspiration_image": product.inspiration_image,
        "model_url": product.model_url,
        "parent": product.parent,
        "swatch": product.swatch,
        **{f"attributes.{name}": value for name, value in product.attributes.items()},
        "prompt": asked.prompt,
        "number_of_images": str(asked.images or ""),
        "aspect_ratio": asked.aspect,
        "request_type": ", ".join(asked.types),
        "target_format": ", ".join(asked.formats),
        "channel": ", ".join(asked.channels),
        "live_from": product.live_from.isoformat() if product.live_from else "",
        "live_until": product.live_until.isoformat() if product.live_until else "",
    }


def _read_sizes(row: Mapping[str, str], facts: SheetFacts) -> tuple[dict[str, float], list[Issue]]:
    """Return the sizes in metres, and the issues of those that are none or can be two."""
    sizes: dict[str, float] = {}
    issues = []
    unit_cell = row.get("unit", "")
    if unit_cell and not unit_name(unit_cell):
        known = ", ".join(METRES_PER_UNIT)
        issues.append(_wrong("unit", "The unit is not known.", unit_cell, known))
    cells, combined_issue = sizes_of_row(row, facts.combined_column)
    issues += [combined_issue] if combined_issue else []
    for axis, cell in cells.items():
        found = _read_size(axis, cell, unit_name(unit_cell), facts)
        if isinstance(found, Issue):
            issues.append(found)
        else:
            sizes[axis] = found
    return sizes, issues


def _read_size(axis: str, cell: str, row_unit: str, facts: SheetFacts) -> float | Issue:
    header = facts.units.get(axis, "")
    try:
        own = split_unit(cell)[1]
        named = {"cell": own, "header": header, "unit column": row_unit}
        units = {unit for unit in named.values() if unit}
        if len(units - {"ft+in"}) > 1 or ("ft+in" in units and units & {"m", "cm", "mm"}):
            places = ", ".join(
                f"{UNIT_NAMES.get(unit, unit)} in the {p}" for p, unit in named.items() if unit
            )
            return _wrong(axis, f"{axis} has two units: {places}.", cell, "one unit")
        if facts.unit_row and not any(named.values()):
            return _wrong(axis, f"Its unit is in row {facts.unit_row} only.", cell, _UNITS_IN_HEADER)
        unit = row_unit or header or facts.shared_unit or DEFAULT_UNIT
        metres = read_length(cell, facts.marks.get(axis, ""), unit)
    except AmbiguousNumber as doubt:
        message = f"{axis} can be read in two ways, and no other cell shows which mark is for decimals."
        point, whole = doubt.readings
        return _wrong(axis, message, cell, f"{plain_number(float(point))} or {whole}, whichever is right")
    except NotANumber as error:
        return _wrong(axis, f"{axis} is not a size: {error}.", cell, _SIZE_LIMIT)
    return metres if metres > 0 else _wrong(axis, f"{axis} is not a size.", cell, _SIZE_LIMIT)


def _wrong(column: str, message: str, cell: str, limit: str) -> Issue:
    return issue("row.value", message, pointer=f"/{column}", measured=cell[:40], limit=limit)


def _cell_issues(row: Mapping[str, str]) -> Iterator[Issue]:
    """Yield issues about cells whose values their columns do not accept."""
    sku = row.get("sku", "")
    if not sku:
        yield issue("row.value", "The SKU is missing.", pointer="/sku")
    elif doubt := sku_doubt(sku):
        yield issue("row.value", f"{doubt}.", pointer="/sku", measured=sku[:40], limit="the SKU as text")
    for column, cell in row.items():
        if BAD_CHARACTER in cell:
            message = f"{column} has a character that cannot be read."
            yield _wrong(column, message, cell, "a file in UTF-8")
        elif cell == UNCALCULATED:
            message = f"{column} is a formula that was never calculated: save the workbook in a spreadsheet."
            yield _wrong(column, message, cell, "a value")
        elif is_cell_error(cell):
            yield _wrong(column, f"{column} is the error of a formula.", cell, "a value")
    yield from _request_issues(row)


def _request_issues(row: Mapping[str, str]) -> Iterator[Issue]:
    """Yield issues about cells that ask for something."""
    for column in MOMENTS:
        cell = row.get(column, "")
        if cell and read_date(cell) is None:
            yield _wrong(column, f"{column} is not a date that can be read.", cell, date_remedy(cell))
    begin, end = (read_date(row.get(column, "")) for column in MOMENTS)
    if begin and end and end <= begin:
        message = "live_until is not after live_from: nothing would ever be live."
        yield _wrong("live_until", message, row["live_until"], f"a date after {row['live_from']}")
    yield from _image_issues(row)
    count = row.get("number_of_images", "")
    if count and not parse_integer(str(count), most=MAX_IMAGES):
        message = "The number of images is not valid."
        yield _wrong("number_of_images", message, count, f"1 to {MAX_IMAGES}")
    aspect = row.get("aspect_ratio", "")
    if aspect and not _ASPECT.fullmatch(aspect):
        yield _wrong("aspect_ratio", "The aspect ratio is not valid.", aspect, "e.g. 4:5")
    for name in _list(row.get("request_type", "")):
        if name not in set(RequestType):
            message, known = "The request type is not known.", "Studio, Lifestyle, Model"
            yield _wrong("request_type", message, name, known)


def _image_issues(row: Mapping[str, str]) -> Iterator[Issue]:
    """Yield issues about cells of pictures that hold more than one address, or something around it."""
    for column in (*_VIEWS, "inspiration_image", "model_url"):
        cell = row.get(column, "")
        addresses = re.findall(r"https?://", cell, re.IGNORECASE)
        if len(addresses) > 1 and re.search(r"[\s,;|]+https?://", cell, re.IGNORECASE):
            limit = "one address; the others in columns of their own, e.g. image_url_back"
            yield _wrong(column, f"{column} holds {len(addresses)} addresses.", cell, limit)
        elif addresses and not re.match(r"https?://", cell, re.IGNORECASE):
            yield _wrong(
                column, f"{column} holds more than an address.", cell, "the address alone: https://..."
            )
        elif (scheme := re.match(r"([a-z][a-z0-9+.-]*)://", cell, re.IGNORECASE)) and not addresses:
            message = f"{column} is no address on the web: pictures cannot be fetched by {scheme[1]}://."
            yield _wrong(column, message, cell, "https://..., or the name of a file beside the sheet")


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
