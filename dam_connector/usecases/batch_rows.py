"""Rows of a sheet: its columns are matched with ours, and each row is checked before anything is made."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from itertools import islice

from dam_connector.domain.completeness import product_issues
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue, Severity, issue
from dam_connector.domain.product import Capture, Product
from dam_connector.domain.rules import Rules
from dam_connector.domain.size_doubts import doubtful_size
from dam_connector.domain.used_photos import lacks_view, missing_view
from dam_connector.domain.version import USABLE_STATES
from dam_connector.errors import InputError
from dam_connector.store.batch_records import NewBatchRow, RowState
from dam_connector.store.products import ProductRecord
from dam_connector.usecases.dam_photos import with_dam_photos
from dam_connector.usecases.failed_rows import PastFailure, past_outcomes
from dam_connector.usecases.files_beside_sheet import (
    FilesBesideSheet,
    resolve_file_names,
    same_picture_notes,
)
from dam_connector.usecases.row_changes import with_known
from dam_connector.usecases.row_texts import row_text
from dam_connector.usecases.run_planning import current_models, what_is_made
from dam_connector.usecases.source_images import expected_images
from dam_connector.wiring import Services
from schemas.sheet_headers import COLUMNS, guess_columns, identifies_products
from schemas.sheet_rows import SheetFacts, read_row, sku_from_name, survey_sheet
from schemas.sheet_table import Sheet

LOOKUP_CHUNK = 500  # rows whose products are looked up with one query
MISSING_VIEW = "source.missing_view"
SAME_AS_BEFORE = "the same facts and photos as before, which failed"


def map_columns(sheet: Sheet, overrides: Mapping[str, str]) -> dict[str, str]:
    """Match our columns with the sheet's.

    Args:
        overrides: the caller's choice, by our names. The other columns are guessed from their names.

    Returns:
        The sheet's column names by our column names, e.g. `{"sku": "Article No."}`. Without `sku`, the SKUs
        are made from the names.

    Raises:
        InputError: with code `sheet.header` when a chosen column does not exist, or no column holds the SKU
            and none the name and the photo; with code `sheet.empty` when there is no row below the header.
    """
    columns = ", ".join(sheet.header)
    overrides = dict(_find_columns(ours, theirs, sheet.header) for ours, theirs in overrides.items())
    rest = tuple(name for name in sheet.header if name not in overrides.values())
    guessed = {ours: theirs for ours, theirs in guess_columns(rest).items() if ours not in overrides}
    mapping = {**guessed, **overrides}
    if not identifies_products(mapping):
        message = (
            f"No column holds the SKU, nor do two hold the name and the photo. The sheet has: {columns}."
        )
        raise InputError("sheet.header", message, limit="sku")
    if next(iter(sheet.rows), None) is None:
        raise InputError("sheet.empty", "The sheet has names of columns, and no row below them.")
    return mapping


def named_pictures(sheet: Sheet, mapping: Mapping[str, str], pictures: Mapping[str, Sha256]) -> set[Sha256]:
    """Return the hashes of the pictures beside a sheet that its cells name.

    Args:
        mapping: see `map_columns`.
        pictures: the hashes of all pictures beside the sheet, by path.
    """
    beside = FilesBesideSheet(pictures)
    columns = {
        theirs: beside.models if ours == "model_url" else beside.pictures
        for ours, theirs in mapping.items()
        if ours.startswith("image_url") or ours in ("inspiration_image", "model_url", "swatch")
    }
    named = {(cells.get(c, "").strip(), c) for _, cells in sheet.rows for c in columns}
    captures = [mapping[kind.field_name] for kind in Capture if kind.field_name in mapping]
    folders = {cells.get(column, "").strip() for _, cells in sheet.rows for column in captures} - {""}
    in_folders = {file for folder in folders for file in beside.pictures.find_folder(folder).files}
    return in_folders | {found.file for name, c in named if name and (found := columns[c].find(name)).file}


def _find_columns(ours: str, theirs: str, header: tuple[str, ...]) -> tuple[str, str]:
    """Return our column and the sheet's for the names that a caller wrote, whatever their case and blanks.

    Raises:
        InputError: sheet.header: one of them does not exist.
    """
    column = ours if ours in COLUMNS else next(iter(guess_columns((ours,))), "")
    wanted = " ".join(theirs.split()).casefold()
    name = next((n for n in header if n == theirs), next((n for n in header if n.casefold() == wanted), ""))
    if column and name:
        return column, name
    near = get_close_matches(theirs if column else ours, header if column else list(COLUMNS), n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    place = f"The sheet has: {', '.join(header)}." if column else f"Ours are: {', '.join(COLUMNS)}."
    message = f"There is no such column: {theirs if column else ours}.{hint} {place}"
    raise InputError("sheet.header", message)


def check_rows(
    services: Services,
    sheet: Sheet,
    mapping: Mapping[str, str],
    pictures: Mapping[str, Sha256],
    facts: SheetFacts | None = None,
    unread: Mapping[str, str] | None = None,
) -> Iterator[NewBatchRow]:
    """Check each row of a sheet, without looking at images behind URLs.

    Args:
        mapping: see `map_columns`.
        pictures: the stored pictures that were uploaded beside the sheet, by path.
        facts: those of the sheet; None: they are read first.
        unread: why other files beside the sheet are not read, by path.

    Yields:
        The rows in the sheet's order, with the state `WAITING` (good), `FAILED` with the reasons,
        `MAKES_NOTHING` with the reason, or `UNCHANGED` when the same product is stored and made already. One
        of whose product nothing usable was made has failed, too.
    """
    rules = services.rules.current()
    facts, beside = facts or survey_sheet(sheet, mapping), FilesBesideSheet(pictures, unread)
    rows = (_read_row(line, cells, mapping, facts, beside) for line, cells in sheet.rows)
    while chunk := list(islice(rows, LOOKUP_CHUNK)):
        known = services.products.of_skus([row.sku for row, _ in chunk if row.as_read])
        checked, same = [], set()
        for read, issues in chunk:
            row = with_known(read, known.get(read.sku), mapping)
            whole = with_dam_photos(services, row.product) if row.product else None
            row = _checked(row, whole, issues, mapping, rules)
            if row.state is RowState.WAITING and whole is not None:
                row = _makes_something(services, row, whole, mapping, rules)
            checked.append(row)
            if row.state is RowState.WAITING and _is_stored(row, known.get(row.sku)):
                same.add(row.sku)
        outcomes = past_outcomes(services, same)
        for row in checked:
            is_tried = row.state is RowState.WAITING and row.sku in outcomes
            yield _as_before(row, known[row.sku], outcomes[row.sku]) if is_tried else row


def _is_stored(row: NewBatchRow, stored: ProductRecord | None) -> bool:
    """Return whether the same product is stored."""
    return stored is not None and not stored.deleted and stored.product == row.product


def _as_before(row: NewBatchRow, stored: ProductRecord, failure: PastFailure | None) -> NewBatchRow:
    """Return a row of a product that was tried before: it is made already, or failed as before.

    A product with another error than a missing view is taken in anew: its photos are looked at again.
    """
    errors = {each.code for each in stored.issues if each.severity is Severity.ERROR}
    is_still_missing = errors == {MISSING_VIEW} and failure is not None and MISSING_VIEW in failure.codes
    if errors and not is_still_missing:
        return row
    if failure is None:
        return replace(row, state=RowState.UNCHANGED)
    remedy = "try it again on the page of the product" if failure.can_retry else "correct them"
    error = f"{SAME_AS_BEFORE}: {failure.reason}; {remedy}"
    failed = replace(row, state=RowState.FAILED, error=error, codes=failure.codes)
    return replace(failed, product=None, as_read=None)


def _read_row(
    line: int,
    cells: Mapping[str, str],
    mapping: Mapping[str, str],
    facts: SheetFacts,
    beside: FilesBesideSheet,
) -> tuple[NewBatchRow, list[Issue]]:
    """Return a row with the product that it describes, and its issues."""
    product, issues = read_row(cells, mapping, facts)
    notes: list[str] = []
    sku = cells.get(mapping.get("sku", ""), "")
    if facts.makes_skus:
        sku = sku_from_name(cells.get(mapping["product_name"], ""))
    if product is not None:
        product, issues = resolve_file_names(product, beside, notes)
        notes += [*_size_notes(product, cells, mapping), *same_picture_notes(product, mapping)]
    row = NewBatchRow(
        line=line,
        sku=sku,
        cells=cells,
        product=product,
        as_read=product,
        state=RowState.WAITING,
        notes=tuple(notes),
    )
    return row, issues


def _checked(
    row: NewBatchRow,
    whole: Product | None,
    issues: list[Issue],
    mapping: Mapping[str, str],
    rules: Rules,
) -> NewBatchRow:
    """Return a row as good or failed. `whole` is its product with the photos of DAMs."""
    found = product_issues(whole, rules.products) if whole else ()
    issues = [*issues, *(each for each in found if each.severity is Severity.ERROR)]
    return not_taken(row, issues, mapping) if issues else row


def _size_notes(product: Product, cells: Mapping[str, str], mapping: Mapping[str, str]) -> Iterator[str]:
    """Yield a note about a size that is probably of another unit than was meant."""
    axis, reason = doubtful_size(product)
    if axis:
        column = mapping.get(axis) or mapping.get("dimensions") or axis
        written = cells.get(column, "").strip()
        place = f"{column} {written[:40]}" if written else column
        yield f"{place}: read as {reason}. Is the unit right?"


def _makes_something(
    services: Services, row: NewBatchRow, whole: Product, mapping: Mapping[str, str], rules: Rules
) -> NewBatchRow:
    """Return a good row; one of whose product nothing will be made says so, and names the views it lacks.

    Args:
        services: The services.
        row: The row.
        whole: Its product with the photos of DAMs.
        mapping: see `map_columns`.
        rules: The rules in force.
    """
    pictures = expected_images(whole)
    made, reason = what_is_made(services, whole, pictures, rules)
    if reason:
        found = issue("row.makes_nothing", reason)
        return replace(row, state=RowState.MAKES_NOTHING, error=found.message, codes=(found.code,))
    lacking = {each.name: missing_view(each) for each in made if lacks_view(each, whole, pictures)}
    if not lacking:
        return row
    models = current_models(services, whole, rules)
    absent = lacking.keys() - models.keys()
    is_any_made = any(each.name not in lacking and each.made_from not in absent for each in made)
    if is_any_made or _has_usable_version(services, row.sku):
        return replace(row, lacking=tuple(lacking.values()))
    return not_taken(row, list(lacking.values()), mapping)


def _has_usable_version(services: Services, sku: str) -> bool:
    return any(state in USABLE_STATES for _, state in services.gallery.states_of([sku]))


def not_taken(row: NewBatchRow, issues: list[Issue], mapping: Mapping[str, str]) -> NewBatchRow:
    """Return a row as failed, whose product nobody takes in. mapping: see `map_columns`."""
    return replace(fail_row(row, issues, mapping), product=None, as_read=None)


def fail_row(row: NewBatchRow, issues: list[Issue], mapping: Mapping[str, str]) -> NewBatchRow:
    """Return a row as failed, with its issues as the reason. mapping: see `map_columns`."""
    error = "; ".join(row_text(i, mapping) for i in issues)
    return replace(row, state=RowState.FAILED, error=error, codes=tuple(i.code for i in issues))
