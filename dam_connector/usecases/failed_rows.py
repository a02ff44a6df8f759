"""The failed rows of a batch, for its page, its API, its file, its button and the retry alike.

A row failed if its sheet spoiled it, its product could not be taken in, or nothing usable was made of it.
`BatchProgress.failed` counts the same rows. A row made in part is another one: it has a usable version, and
a run for another asset of its product failed.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from dam_connector.domain.failure_cause import failure_cause
from dam_connector.domain.issue import Issue
from dam_connector.domain.issue_codes import CODES, IssueCode
from dam_connector.domain.version import USABLE_STATES
from dam_connector.store.batch_records import Batch, BatchRow, BatchState, RowState, RowWithProduct
from dam_connector.store.gallery import ManifestVersion
from dam_connector.store.products import ProductRecord
from dam_connector.store.run_records import FailedRun
from dam_connector.usecases.mending_texts import run_error_text, with_remedies
from dam_connector.usecases.retries import blocked_by_other_rules, can_retry_help
from dam_connector.wiring import Services
from schemas.sheet_headers import guess_columns

CHUNK_ROWS = 500  # rows whose versions and runs are read with one query
FAILED = "failed"  # the field of `BatchProgress` that counts failed rows
NOT_TAKEN_IN = "could not be taken in: "  # begins the error of a row that failed by no fault of its product
# Errors of photos that may be gone at the next try, though nobody corrects the row.
PASSING_CODES: frozenset[IssueCode] = frozenset({"source.unreachable", "source.not_found"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRow:
    """A failed row of a batch."""

    row: BatchRow
    text: str  # why it failed and what helps, in the words of its sheet, wherever people read it
    error: str  # the same for programs, with issue codes
    can_retry: bool  # whether a retry can help; else a person corrects it


class PartlyMadeRow(NamedTuple):
    """A row with a usable version, for whose product a run failed."""

    line: int  # its line in the sheet
    sku: str
    run_error: str  # of the newest failed run


def failed_rows(services: Services, batch: Batch, *, after: int = 0) -> Iterator[FailedRow]:
    """Yield the failed rows of a batch in the sheet's order, those after a line of the sheet."""
    while chunk := services.batches.failed_rows(batch.id, after=after, limit=CHUNK_ROWS):
        yield from explain_rows(services, batch, chunk)
        after = chunk[-1].line


def explain_rows(services: Services, batch: Batch, rows: Collection[BatchRow]) -> Iterator[FailedRow]:
    """Yield failed rows of a batch with the reasons."""
    skus = [row.sku for row in rows if row.state is not RowState.FAILED]
    versions = services.gallery.manifest_versions(skus)
    generation, failed = services.runs.generation_status(skus), _by_sku(services.runs.failed_of(skus))
    unblockable = {run.sku for run in blocked_by_other_rules(services, skus)}
    not_taken = [row for row in rows if row.state is RowState.FAILED and row.product is not None]
    takable = _takable_rows(services, not_taken)
    records, mapping = services.products.of_skus(skus), guess_columns(batch.columns)
    for row in rows:
        if row.state is RowState.FAILED:
            yield FailedRow(row=row, error=row.error, text=row.error, can_retry=row.id in takable)
            continue
        made, runs = versions.get(row.sku, []), failed.get(row.sku, [])
        _, run_error = generation.get(row.sku, (False, ""))
        if run_error:
            code = failure_cause(run_error).code
            text = run_error_text(run_error, _issues(records.get(row.sku)), mapping)
            error = f"{text} ({code})" if code else text
        else:
            codes = {code for version in made for code in version.codes}
            text, error = (
                with_remedies(f"No usable version: {blocked_reason(made, with_codes=with_codes)}", codes)
                for with_codes in (False, True)
            )
        yield FailedRow(
            row=row,
            text=text,
            error=error,
            can_retry=row.sku in unblockable or any(can_retry_help(services, run) for run in runs),
        )


def _takable_rows(services: Services, rows: Collection[BatchRow | RowWithProduct]) -> set[str]:
    """Return the ids of those rows that may be taken in at another try.

    A row may if its product has no error by now, or only errors that pass.

    Args:
        services: The services.
        rows: Rows with a product that were not taken in.
    """
    found: set[str] = set()
    ordered = list(rows)
    for start in range(0, len(ordered), CHUNK_ROWS):
        chunk = ordered[start : start + CHUNK_ROWS]
        errors = services.products.error_codes({row.sku for row in chunk})
        found |= {
            row.id
            for row in chunk
            if row.error.startswith(NOT_TAKEN_IN) or errors.get(row.sku, set()) <= PASSING_CODES
        }
    return found


def rows_page(
    services: Services, batch: Batch, *, state: RowState | None, after: int, limit: int
) -> list[BatchRow]:
    """Return a page of the rows of a batch in the sheet's order; a failed one has the state and the error.

    Args:
        state: only rows in this state; None: in any.
        after: only rows after this line of the sheet.
        limit: how many rows to return at most.
    """
    if state is RowState.FAILED:
        return [_as_failed(each) for each in islice(failed_rows(services, batch, after=after), limit)]
    found: list[BatchRow] = []
    rows = services.batches.all_rows(batch.id, state, after=after, chunk=CHUNK_ROWS)
    while len(found) < limit and (chunk := list(islice(rows, CHUNK_ROWS))):
        first, last = chunk[0].line, chunk[-1].line
        among = services.batches.failed_rows(batch.id, after=first - 1, until=last, limit=last - first + 1)
        failed = {each.row.id: _as_failed(each) for each in explain_rows(services, batch, among)}
        found += [failed.get(row.id, row) for row in chunk if not (state and row.id in failed)]
    return found[:limit]


def _as_failed(failed: FailedRow) -> BatchRow:
    return replace(failed.row, state=RowState.FAILED, error=failed.error)


class RetryableRows(NamedTuple):
    """The rows of a batch that a retry can help."""

    failed: int  # how many failed rows
    partly: int  # how many rows made in part
    skus: tuple[str, ...]  # of those whose runs are retried
    not_taken: tuple[str, ...]  # the ids of those that are taken in again

    @property
    def total(self) -> int:
        """Return how many rows are retried."""
        return self.failed + self.partly


def retryable_rows(services: Services, batch: Batch) -> RetryableRows:
    """Return the rows that a retry of the batch tries again, without those that a person must correct."""
    if batch.state is BatchState.CANCELLED:
        return RetryableRows(0, 0, (), ())
    blocked = services.batches.counts.failed_of_products(batch.id)
    unblockable = {run.sku for run in blocked_by_other_rules(services, {row.sku for row in blocked})}
    rows = services.batches.counts.with_failed_run(batch.id)
    runs = services.runs.failed_of({row.sku for row in rows})
    helped = unblockable | {run.sku for run in runs if can_retry_help(services, run)}
    of_products = sorted(row for row in {*rows, *blocked} if row.sku in helped)
    failed = sum(row.counted_as == FAILED for row in of_products)
    not_taken = _takable_rows(services, services.batches.with_product(batch.id, RowState.FAILED))
    skus = tuple(dict.fromkeys(row.sku for row in of_products))
    return RetryableRows(len(not_taken) + failed, len(of_products) - failed, skus, tuple(not_taken))


def partly_made_rows(services: Services, batch: Batch) -> list[PartlyMadeRow]:
    """Return the rows that are made in part, in the sheet's order."""
    rows = [row for row in services.batches.counts.with_failed_run(batch.id) if row.counted_as != FAILED]
    failed = _by_sku(services.runs.failed_of({row.sku for row in rows}))
    return [PartlyMadeRow(row.line, row.sku, failed[row.sku][0].error) for row in rows if row.sku in failed]


def partly_made_texts(services: Services, batch: Batch, rows: Collection[PartlyMadeRow]) -> dict[int, str]:
    """Return by line why a run of rows made in part failed and what helps, in the words of the sheet."""
    records = services.products.of_skus([row.sku for row in rows])
    mapping = guess_columns(batch.columns)
    return {row.line: run_error_text(row.run_error, _issues(records.get(row.sku)), mapping) for row in rows}


def _issues(record: ProductRecord | None) -> tuple[Issue, ...]:
    return record.issues if record else ()


def _by_sku(runs: Collection[FailedRun]) -> dict[str, list[FailedRun]]:
    found: dict[str, list[FailedRun]] = {}
    for run in runs:
        found.setdefault(run.sku, []).append(run)
    return found


class PastFailure(NamedTuple):
    """Why nothing usable was made of a product."""

    reason: str  # for people
    codes: tuple[str, ...]
    can_retry: bool  # whether a retry can help; else its photos or facts are to be corrected


def past_outcomes(services: Services, skus: Collection[str]) -> dict[str, PastFailure | None]:
    """Return by SKU why nothing usable was made of a product; None: it is made, or being made.

    Products of which nothing was tried are left out.
    """
    states = services.gallery.states_of(skus)
    unusable = set(skus) - {sku for sku, state in states if state in USABLE_STATES}
    versions, failed = services.gallery.manifest_versions(unusable), services.runs.failed_of(unusable)
    generation, runs = services.runs.generation_status(unusable), _by_sku(failed)
    unblockable = {run.sku for run in blocked_by_other_rules(services, unusable)}
    found: dict[str, PastFailure | None] = dict.fromkeys(skus)
    for sku in unusable:
        (is_generating, run_error), made = generation.get(sku, (False, "")), versions.get(sku, [])
        if is_generating:
            continue
        if not run_error and not made:
            del found[sku]
            continue
        cause = failure_cause(run_error)
        found[sku] = PastFailure(
            reason=(cause.text or blocked_reason(made, with_codes=False)).rstrip("."),
            codes=tuple(filter(None, [cause.code])) or tuple(sorted({c for v in made for c in v.codes})),
            can_retry=sku in unblockable or any(can_retry_help(services, run) for run in runs.get(sku, [])),
        )
    return found


def blocked_reason(versions: Collection[ManifestVersion], *, with_codes: bool = True) -> str:
    """Return why all versions of a product are blocked: the errors in words.

    Mere warnings are left out, unless an admin's severities made one of them the only cause.

    Args:
        versions: The versions.
        with_codes: Whether each error has its code, for programs.
    """
    if not versions:
        return "nothing could be made"
    found = {code for v in versions for code in v.codes}
    specs = {code: spec for code, spec in CODES.items() if code in found}
    errors = {code: spec for code, spec in specs.items() if spec.severity == "error"} or specs
    texts = [spec.meaning.rstrip(".") + (f" ({code})" if with_codes else "") for code, spec in errors.items()]
    return ": ".join(filter(None, ["blocked", "; ".join(texts)]))
