"""The preview of a batch: which rows are good, their assets, the cost and the time."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from dam_connector.domain.issue import Issue
from dam_connector.domain.model_forecast import FORECASTS, ModelForecast
from dam_connector.domain.product import Dimensions, Product
from dam_connector.domain.rules import BROUGHT, JOINED, LOCAL, RECOLOURED, Deliverable, Rules
from dam_connector.domain.run import RunKind
from dam_connector.domain.unnamed_pictures import REMOVE
from dam_connector.domain.used_photos import lacking_deliverable
from dam_connector.errors import StateConflict
from dam_connector.store.batch_records import NewBatchRow, RowState
from dam_connector.usecases.batch_rows import check_rows, fail_row
from dam_connector.usecases.checked_pictures import CheckedPictures, read_checked
from dam_connector.usecases.dam_photos import with_dam_photos
from dam_connector.usecases.estimates import (
    NOBODY,
    capture_seconds,
    estimate_seconds,
    first_generator,
    own_forecast,
)
from dam_connector.usecases.row_pictures import TAKEN_IN_STATES, FilesAtHand, is_taken_in, required_images
from dam_connector.usecases.row_texts import remedy_text, rows_text
from dam_connector.usecases.run_planning import current_models, what_is_made
from dam_connector.usecases.source_images import check_image_url, expected_images
from dam_connector.wiring import Services
from schemas.sheet_attributes import attribute_name
from schemas.sheet_rows import SheetFacts, survey_sheet
from schemas.sheet_table import Sheet
from schemas.uploads import PictureList

CHECKED_STATES = (RowState.WAITING, RowState.MAKES_NOTHING, RowState.FAILED, RowState.UNCHANGED)
MAX_SHOWN_ROWS = 200  # rows of each state that a preview holds
MAX_NAMED_COLUMNS = 12
MAX_NOTED_ROWS = 20  # whose notes are shown
MAX_CHECKED_IMAGES = 2000
IMAGE_CHECK_TIME_S = 20.0  # after which no more images are checked
IMAGE_CHECK_THREADS = 16
OWN_GENERATORS = (LOCAL, BROUGHT, RECOLOURED, JOINED)  # nobody bills these


@dataclass(kw_only=True)
class BatchPreview:
    """What a sheet would do."""

    # The sheet's column names by our column names.
    mapping: Mapping[str, str]
    # What was ignored or guessed in the sheet, and what is not made of its rows, for people.
    sheet_notes: tuple[str, ...] = ()
    # The sheet has no SKUs: they were made from the names.
    makes_skus: bool = False
    # Rows by state.
    counts: dict[RowState, int] = field(default_factory=lambda: dict.fromkeys(CHECKED_STATES, 0))
    # The first rows of each state.
    rows: dict[RowState, list[NewBatchRow]] = field(default_factory=dict)
    # Versions to be made, by deliverable.
    version_counts: dict[str, int] = field(default_factory=dict)
    # Those of them that a provider bills, by provider.
    billed_counts: dict[str, int] = field(default_factory=dict)
    # The price of those, by the providers' price lists.
    cost_usd: float = 0.0
    # Versions that are not made, since the rules leave no generator, by deliverable.
    not_made_counts: dict[str, int] = field(default_factory=dict)
    # Good rows of which our own code may make a model, by the forecast; all words of `FORECASTS`.
    forecast_counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FORECASTS, 0))
    # The forecasts of the rows that are shown, by line.
    forecasts: dict[int, ModelForecast] = field(default_factory=dict)
    # Good rows whose images were not checked, since there were too many.
    unchecked_rows: int = 0
    # The lines of good rows of which a model is made though they have no size.
    sizeless: list[int] = field(default_factory=list)
    # Rows with notes of their own, and the notes of the first ones.
    noted_rows: int = 0
    first_row_notes: tuple[str, ...] = ()
    # The lines of rows with other pictures than an earlier check of this sheet saw.
    changed: list[int] = field(default_factory=list)
    # Rows whose products lose pictures; those of the shown rows say which in `gone`.
    losing_rows: int = 0
    # The lines of rows with empty cells whose pictures stay.
    keeping: list[int] = field(default_factory=list)
    # The lines of rows that empty facts of their products, and these facts.
    emptying: list[int] = field(default_factory=list)
    emptied: set[str] = field(default_factory=set)
    # The lines of good rows for which the rules leave no generator, by deliverable.
    without_generator: dict[str, list[int]] = field(default_factory=dict)
    # The id of what was seen of the rows' pictures, see `checked_pictures`.
    check: str = ""
    # The lines of good rows that lack a view which a deliverable needs, by the issue's message.
    lacking: dict[str, list[int]] = field(default_factory=dict)
    # CPU-seconds that models from spins and walks take longer than others.
    capture_s: float = 0.0
    # Estimated seconds until all versions are generated.
    generation_s: float = 0.0

    @property
    def begins(self) -> bool:
        """Return whether a batch of the sheet has something to do or to give back."""
        return any(count for state, count in self.counts.items() if state is not RowState.UNCHANGED)

    @property
    def total(self) -> int:
        """Return the number of rows."""
        return sum(self.counts.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """Return all notes in one list; those of rows begin with the row."""
        more = self.noted_rows - MAX_NOTED_ROWS
        rest = (f"{more} more rows have such notes.",) if more > 0 else ()
        return (*self.sheet_notes, *self.first_row_notes, *rest)

    @property
    def hidden_noted_rows(self) -> int:
        """Return how many rows with notes of their own are not among the rows that are shown."""
        return self.noted_rows - sum(bool(row.notes) for rows in self.rows.values() for row in rows)

    @property
    def losses(self) -> list[NewBatchRow]:
        """Return the rows that are shown whose products lose pictures, in the sheet's order."""
        shown = (row for state in TAKEN_IN_STATES for row in self.rows.get(state, ()) if row.gone)
        return sorted(shown, key=lambda row: row.line)

    def add_row(self, row: NewBatchRow, forecast: ModelForecast | None = None) -> None:
        """Count a row, and keep it if it is among the first of its state; with the forecast of its model."""
        self.counts[row.state] += 1
        for found in row.lacking:
            self.lacking.setdefault(remedy_text(found), []).append(row.line)
        if row.notes:
            self.noted_rows += 1
            if self.noted_rows <= MAX_NOTED_ROWS:
                self.first_row_notes += tuple(f"Row {row.line}: {note}" for note in row.notes)
        if row.state in TAKEN_IN_STATES:
            self._add_changes(row)
        shown = self.rows.setdefault(row.state, [])
        if forecast:
            self.forecast_counts[forecast.verdict] += 1
        if len(shown) < MAX_SHOWN_ROWS:
            shown.append(row)
            if forecast:
                self.forecasts[row.line] = forecast

    def _add_changes(self, row: NewBatchRow) -> None:
        """Count the changes by a row of a product that is known."""
        self.losing_rows += bool(row.gone)
        self.keeping += [row.line] if row.staying else []
        self.emptying += [row.line] if row.emptied else []
        self.emptied |= set(row.emptied)

    def row_notes(self) -> Iterator[str]:
        """Yield notes about what is not made of rows, pictures that stay, and facts that are emptied."""
        for name, lines in self.without_generator.items():
            yield f"{rows_text(lines, 'gets', 'get')} no {name}: the rules leave no generator for it."
        for text, lines in self.lacking.items():
            yield f"{rows_text(lines, 'lacks', 'lack')} a view, so that this is not made: {text}."
        if self.keeping:
            which = rows_text(self.keeping, "has", "have")
            yield (
                f"{which} empty cells of pictures that the product has: these stay. "
                f'Write "{REMOVE}" into the cell of a picture that is to go away.'
            )
        if self.emptying:
            which = rows_text(self.emptying, "empties", "empty")
            yield f"{which} facts that the product has: {', '.join(sorted(self.emptied))}."

    def add_versions(self, deliverable: Deliverable, generator: str, usd: float) -> None:
        """Count the versions that a row makes of a deliverable; `usd` is the price of one."""
        count, name = deliverable.count, deliverable.name
        if generator == NOBODY:
            self.not_made_counts[name] = self.not_made_counts.get(name, 0) + count
            return
        self.version_counts[name] = self.version_counts.get(name, 0) + count
        if generator not in OWN_GENERATORS:
            self.billed_counts[generator] = self.billed_counts.get(generator, 0) + count
            self.cost_usd += count * usd


def preview_batch(
    services: Services,
    sheet: Sheet,
    mapping: Mapping[str, str],
    listed: PictureList,
    *,
    since: str = "",
) -> BatchPreview:
    """Check a sheet and its images. Nothing is made, and no product is stored.

    Args:
        since: the id of an earlier check of this sheet, to find the rows that have changed; empty: none.
        mapping: the sheet's column names by our column names.
        listed: the files beside the sheet; they need not be stored yet.
    """
    facts = survey_sheet(sheet, mapping)
    notes = (*sheet.notes, *facts.notes, *_unused_columns(sheet, mapping, facts))
    preview = BatchPreview(mapping=mapping, sheet_notes=notes, makes_skus=facts.makes_skus)
    image_check = _ImageCheck(services, listed, mapping)
    rules = services.rules.current()
    rows = check_rows(services, sheet, mapping, listed.files, facts, listed.unread)
    checked, former = CheckedPictures(), _former_check(services, since)
    while chunk := list(islice(rows, IMAGE_CHECK_THREADS * 8)):
        for row in chunk:
            checked.add(row)
            if former and former.has_changed(row):
                preview.changed.append(row.line)
        for row in image_check.check(chunk):
            if row.state is RowState.WAITING and row.product:
                _add_good_row(services, preview, row, row.product, rules)
            else:
                preview.add_row(row)
    preview.sheet_notes += tuple(preview.row_notes())
    if preview.sizeless:
        preview.sheet_notes += (_sizeless_note(preview.sizeless),)
    preview.unchecked_rows = image_check.unchecked_rows
    preview.check = checked.store(services)
    preview.generation_s = estimate_seconds(services, preview.version_counts, capture_s=preview.capture_s)
    return preview


def _former_check(services: Services, check: str) -> CheckedPictures | None:
    """Return the pictures of an earlier check; None without one, or when it was deleted meanwhile."""
    with suppress(StateConflict):
        return read_checked(services, check) if check else None
    return None


def _add_good_row(
    services: Services, preview: BatchPreview, row: NewBatchRow, product: Product, rules: Rules
) -> None:
    """Count a good row, and the versions that it makes; nothing is rendered from a model that is not made."""
    product = with_dam_photos(services, product)
    pictures = expected_images(product)
    made, _ = what_is_made(services, product, pictures, rules)
    models = current_models(services, product, rules).keys() if row.lacking else set()
    lacking = {lacking_deliverable(found) for found in row.lacking}
    made = [each for each in made if each.name not in lacking and each.made_from not in lacking - models]
    if product.dimensions == Dimensions() and any(d.kind is RunKind.MODEL and not d.is_joined for d in made):
        preview.sizeless.append(row.line)
    preview.add_row(row, own_forecast(made, product, pictures))
    first = [(each, *first_generator(services, each, product, pictures)) for each in made]
    absent = {each.name for each, generator, _ in first if generator == NOBODY}
    absent -= current_models(services, product, rules).keys() if absent else set()
    preview.capture_s += sum(capture_seconds(each, generator, pictures) for each, generator, _ in first)
    for name in [each.name for each, generator, _ in first if generator == NOBODY]:
        preview.without_generator.setdefault(name, []).append(row.line)
    for each, generator, usd in first:
        preview.add_versions(each, NOBODY if each.made_from in absent else generator, usd)


def _sizeless_note(lines: list[int]) -> str:
    """Return a note about rows that make a model of a size that has to be guessed."""
    which = rows_text(lines, "has", "have")
    return f"{which} no width, height or depth: the size of the model is guessed, and it is wrong in AR."


def _unused_columns(sheet: Sheet, mapping: Mapping[str, str], facts: SheetFacts) -> Iterator[str]:
    """Yield a note about the columns that nothing is read from; an export's are known, and many."""
    used = (*mapping.values(), *facts.translations)
    unused = [n for n in sheet.header if n and n not in used and not attribute_name(n)]
    if unused and not any(note.startswith("This is an export of") for note in sheet.notes):
        more = f" and {len(unused) - MAX_NAMED_COLUMNS} more" if len(unused) > MAX_NAMED_COLUMNS else ""
        yield f"Columns that are not used: {', '.join(unused[:MAX_NAMED_COLUMNS])}{more}."


class _ImageCheck:
    """Checks the images of rows that are taken in, many at a time, within limits of number and time."""

    def __init__(self, services: Services, listed: PictureList, mapping: Mapping[str, str]) -> None:
        """Start the time.

        Args:
            listed: the files beside the sheet.
            mapping: the sheet's column names by ours.
        """
        self._services, self._until = services, time.monotonic() + IMAGE_CHECK_TIME_S
        self._at_hand, self._mapping = FilesAtHand(services, listed), mapping
        self._issues: dict[str, Issue | None] = {}  # by address
        self.unchecked_rows = 0

    def check(self, rows: list[NewBatchRow]) -> list[NewBatchRow]:
        """Return the rows; those with an image that cannot be used have failed."""
        new = {
            url: pointer
            for row in rows
            if is_taken_in(row)
            for url, pointer in required_images(row.product)
            if url not in self._issues and not self._at_hand.judges(row, url)
        }
        is_too_much = len(self._issues) + len(new) > MAX_CHECKED_IMAGES or time.monotonic() > self._until
        if new and is_too_much:
            rows = [self._with_issues(row) for row in rows]
            self.unchecked_rows += sum(1 for row in rows if row.state is RowState.WAITING)
            return rows
        with ThreadPoolExecutor(IMAGE_CHECK_THREADS) as pool:
            issues = pool.map(lambda pair: check_image_url(self._services, *pair), new.items())
            self._issues.update(zip(new, issues, strict=True))
        return [self._with_issues(row) for row in rows]

    def _with_issues(self, row: NewBatchRow) -> NewBatchRow:
        if not is_taken_in(row):
            return row
        issues = [found for url, _ in required_images(row.product) if (found := self._issues.get(url))]
        issues += self._at_hand.faults(row)
        return fail_row(row, issues, self._mapping) if issues else row
