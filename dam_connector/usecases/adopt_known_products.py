"""Adoption for the products that are known here: shown, at once, or page by page in the background."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import structlog

from dam_connector.domain.adoption import Adoptable
from dam_connector.errors import RETRYABLE, AdapterError, ConfigError, StateConflict
from dam_connector.store.finished_files import WAITING
from dam_connector.store.products import ProductRecord
from dam_connector.usecases.adoption import (
    BLOCKED,
    GOOD,
    FoundFiles,
    adoptable,
    find_finished,
    with_checks,
)
from dam_connector.usecases.backfill import BackfillProgress
from dam_connector.usecases.product_intake import ingest_product
from dam_connector.wiring import Services

log = structlog.get_logger()
NOTE, FOUND_NOTE = "adoption", "adoption:found"
PAGE = 100  # products at a time


def adopt_known(
    services: Services, *, dry_run: bool = False, show: Callable[[Adoptable], object] = lambda _: None
) -> Iterator[BackfillProgress]:
    """Adopt finished files for all known products; yield the progress after each product.

    It can be repeated: what was adopted is not adopted again.

    Args:
        dry_run: only show what would be adopted.
        show: is called with each finished file, before it is adopted.

    Raises:
        ConfigError: plugin.json has no section `adopt`, or a DAM cannot list its files.
        Refused: do not retry.
        Unavailable, RateLimited: retry later.
    """
    progress, found, before = BackfillProgress(), find_finished(services), ""
    while records := services.products.page(before=before, limit=PAGE):
        for record in records:
            files = with_checks(services, list(adoptable(services, record.product, found)))
            for file in files:
                show(file)
            progress.seen += 1
            progress.last_ref = record.product.sku
            wanted = [file for file in files if not file.problem]
            progress.adopted += len(wanted) if dry_run else _adopt(services, record, found, wanted)
            yield progress
        before = records[-1].id


def _adopt(services: Services, record: ProductRecord, found: FoundFiles, wanted: list[Adoptable]) -> int:
    """Take a product in again with its finished files; return how many were adopted."""
    if not wanted:
        return 0
    result = ingest_product(
        services,
        record.product,
        connection=record.connection,
        ref=record.ref,
        source_time=record.source_time,
        bulk=True,
        finished=found,
    )
    return result.adopted


def preview(services: Services, *, most_rows: int) -> dict[str, Any]:
    """Return what would be adopted for the known products; change nothing.

    Args:
        most_rows: the most files that are named; all are counted.

    Raises:
        As `adopt_known`.
    """
    rows: list[Adoptable] = []
    counts = [progress.adopted for progress in adopt_known(services, dry_run=True, show=rows.append)]
    return {
        "files": len(rows),
        "adoptable": counts[-1] if counts else 0,
        "blocked": sum(row.check == BLOCKED for row in rows),
        "waiting": sum(row.check == WAITING for row in rows),
        "rows": [asdict(row) for row in rows[:most_rows]],
    }


def request_checks(services: Services, *, by: str) -> int:
    """Let workers check the finished files that would be adopted for the known products; return how many.

    Nothing is adopted. The results are in the preview.

    Raises:
        As `adopt_known`.
    """
    rows: list[Adoptable] = []
    for _ in adopt_known(services, dry_run=True, show=rows.append):
        pass
    wanted = [replace(row, check="", blocks=()) for row in rows if not row.problem and row.check != WAITING]
    with services.transaction():
        services.audit.add("adoption_checks", by=by, subject="plugin.json")
        ids = [services.finished_files.put(row, state=WAITING) for row in wanted]
        services.queue.wake("check_finished_file", ids)
    return len(wanted)


def wake_waiting_checks(services: Services) -> int:
    """Wake the checks of finished files whose wake-up was lost, or whose DAM was away; return how many."""
    ids = services.finished_files.waiting(PAGE)
    services.queue.wake("check_finished_file", ids)
    return len(ids)


def request_adoption(services: Services, *, by: str) -> None:
    """Begin to adopt finished files for the known products in the background.

    Raises:
        ConfigError: plugin.json has no section `adopt`.
        StateConflict: it is under way.
    """
    if not services.rules.current().adopt:
        raise ConfigError("/adopt: say where finished files are; docs/photos.md shows how")
    with services.transaction():
        if (note := adoption_progress(services)) and not note["done"]:
            raise StateConflict("finished files are being adopted already")
        services.audit.add("adoption", by=by, subject="plugin.json")
        services.notes.delete(FOUND_NOTE)
        services.notes.set(NOTE, {"by": by, "before": "", "adopted": 0, "done": False, "problem": ""})


def adoption_progress(services: Services) -> dict[str, Any]:
    """Return how far the adoption in the background came; empty if none was ever requested."""
    return dict(services.notes.get(NOTE) or {})


def continue_adoption(services: Services) -> int:
    """Adopt finished files for the next page of products; return how many products it had.

    Nothing is done if no adoption was requested. A page that a crash interrupts is done again, which adopts
    nothing twice. What cannot be read now is tried again by the next call.
    """
    note = adoption_progress(services)
    if not note or note["done"]:
        return 0
    try:
        found = _listed_once(services)
        records = services.products.page(before=note["before"], limit=PAGE)
        for record in records:
            files = adoptable(services, record.product, found)
            note["adopted"] += _adopt(services, record, found, [f for f in files if not f.problem])
    except RETRYABLE as error:
        log.warning("adoption_put_off", error=str(error))
        services.notes.set(NOTE, {**adoption_progress(services), "problem": str(error)})
        return 0
    except (AdapterError, ConfigError) as error:
        services.notes.set(NOTE, {**note, "done": True, "problem": str(error)})
        return 0
    note |= {"before": records[-1].id, "problem": ""} if records else {"done": True, "problem": ""}
    services.notes.set(NOTE, note)
    if note["done"]:
        services.notes.delete(FOUND_NOTE)
    return len(records)


def _listed_once(services: Services) -> FoundFiles:
    """Return the finished files, which are listed once for all pages."""
    stored = services.notes.get(FOUND_NOTE)
    if stored is None:
        stored = [asdict(file) for files in find_finished(services).values() for file in files.values()]
        services.notes.set(FOUND_NOTE, stored)
    found: dict[str, dict[str, Adoptable]] = {}
    for row in stored:
        file = Adoptable(**row)
        found.setdefault(file.sku, {})[file.deliverable] = file
    return found


def adoptable_json(file: Adoptable) -> str:
    """Return a finished file as a line of JSON."""
    return json.dumps(asdict(file), ensure_ascii=False)


def adoptable_line(file: Adoptable, *, dry_run: bool) -> str:
    """Return a finished file as a line for people."""
    if file.problem:
        outcome = f"stays: {file.problem}"
    elif file.check == BLOCKED:
        outcome = f"{'would be' if dry_run else 'is'} V1, blocked: {'; '.join(file.blocks)}"
    else:
        checked = {GOOD: "", WAITING: ", being checked"}.get(file.check, ", not checked yet" * dry_run)
        outcome = f"{'would be' if dry_run else 'is'} adopted as V1, approved by {file.approver}{checked}"
    return f"{file.sku:<24} {file.deliverable:<16} {file.where}: {file.name}  -> {outcome}"
