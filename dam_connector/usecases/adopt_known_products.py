"""Adoption for the products that are known here: shown, at once, or page by page in the background."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import structlog

from dam_connector.domain.adoption import Adoptable
from dam_connector.errors import RETRYABLE, AdapterError, Busy, ConfigError, StateConflict
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
from dam_connector.usecases.product_intake import ingest_again
from dam_connector.wiring import Services

log = structlog.get_logger()
NOTE, FOUND_NOTE = "adoption", "adoption:found"
PAGE = 100  # products at a time
PLAN_LOCK = "adoption plan"


@dataclass(frozen=True, slots=True)
class PlanLimit:
    """How far one reading of the plan goes; a page's thread waits for it, and a shop is asked per product."""

    products: int = 500
    seconds: float = 10.0


@dataclass(slots=True)
class _Plan:
    """Finished files of products that follow each other."""

    products: int = 0
    next: str = ""  # the product after which more follow; empty: there are no more
    rows: list[Adoptable] = field(default_factory=list)


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
    progress, found = BackfillProgress(), find_finished(services)
    for record, files in _files_by_product(services, found):
        for file in files:
            show(file)
        progress.seen += 1
        progress.last_ref = record.product.sku
        wanted = [file for file in files if not file.problem]
        progress.adopted += len(wanted) if dry_run else _adopt(services, record, found, wanted)
        yield progress


def _files_by_product(
    services: Services, found: FoundFiles, before: str = ""
) -> Iterator[tuple[ProductRecord, list[Adoptable]]]:
    """Yield the known products, the newest first, with their finished files.

    Args:
        before: the id of the product after which to go on.
    """
    while records := services.products.page(before=before, limit=PAGE):
        for record in records:
            yield record, with_checks(services, list(adoptable(services, record.product, found)))
        before = records[-1].id


def _adopt(services: Services, record: ProductRecord, found: FoundFiles, wanted: list[Adoptable]) -> int:
    """Take a product in again with its finished files; return how many were adopted."""
    if not wanted:
        return 0
    return ingest_again(services, record, bulk=True, finished=found).adopted


def _read_plan(services: Services, before: str, limit: PlanLimit | None) -> _Plan:
    """Return the finished files of the known products, up to a limit; one such reading is made at a time.

    Raises:
        Busy: one is under way.
        As `adopt_known`.
    """
    plan, last = _Plan(), before
    with _only_reading(services):
        ends_at = time.monotonic() + limit.seconds if limit else 0.0
        for record, files in _files_by_product(services, find_finished(services), before):
            if limit and plan.products and _is_reached(plan, limit, ends_at):
                plan.next = last
                break
            plan.rows += files
            plan.products += 1
            last = record.id
    return plan


@contextmanager
def _only_reading(services: Services) -> Iterator[None]:
    """Hold the lock on the plan.

    Raises:
        Busy: it is being read already.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(services.locks.lock(PLAN_LOCK))
        except Busy as error:
            reason = "the plan is being read already, which is done once at a time"
            raise Busy("connector", "adoption", reason, retry_after_s=error.retry_after_s) from error
        yield


def _is_reached(plan: _Plan, limit: PlanLimit, ends_at: float) -> bool:
    return plan.products >= limit.products or time.monotonic() >= ends_at


def preview(
    services: Services, *, most_rows: int, before: str = "", limit: PlanLimit | None = PlanLimit()
) -> dict[str, Any]:
    """Return what would be adopted for the known products; change nothing.

    Args:
        most_rows: the most files that are named; all are counted.
        before: `next` of the reading before; empty for the first one.
        limit: how far this reading goes. If more products follow, `next` says where to go on.

    Raises:
        Busy: the plan is being read already.
        As `adopt_known`.
    """
    plan = _read_plan(services, before, limit)
    return {
        "products": plan.products,
        "next": plan.next,
        "files": len(plan.rows),
        "adoptable": sum(not row.problem for row in plan.rows),
        "blocked": sum(row.check == BLOCKED for row in plan.rows),
        "waiting": sum(row.check == WAITING for row in plan.rows),
        "rows": [asdict(row) for row in plan.rows[:most_rows]],
    }


def request_checks(
    services: Services, *, by: str, before: str = "", limit: PlanLimit | None = None
) -> dict[str, Any]:
    """Let workers check the finished files that would be adopted for the known products.

    Nothing is adopted. The results are in the preview.

    Args:
        by: who requested it.
        before: `next` of the call before; empty for the first one.
        limit: how far this call goes; None: over all products.

    Returns:
        `requested`, how many files, and `next`, where to go on if more products follow.

    Raises:
        Busy: the plan is being read already.
        As `adopt_known`.
    """
    plan = _read_plan(services, before, limit)
    wanted = [
        replace(row, check="", blocks=()) for row in plan.rows if not row.problem and row.check != WAITING
    ]
    with services.transaction():
        services.audit.add("adoption_checks", by=by, subject="plugin.json")
        ids = [services.finished_files.put(row, state=WAITING) for row in wanted]
        services.queue.wake("check_finished_file", ids)
    return {"requested": len(wanted), "next": plan.next}


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
