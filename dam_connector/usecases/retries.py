"""Retries: a product's failed and missing runs, a run, or a delivery are begun again by people."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dam_connector.domain.failure_cause import failure_cause
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.run import OPEN_STATES, RunState, job_name
from dam_connector.errors import NotFound
from dam_connector.store.inbox import DeliveryRecord
from dam_connector.store.products import ProductRecord
from dam_connector.store.run_records import RunRecord, is_dismissed
from dam_connector.usecases.product_intake import IntakeResult, ingest_again
from dam_connector.usecases.run_planning import needed_runs
from dam_connector.wiring import Services

MAX_GROUPED = 200  # newest failed runs that are grouped by their cause
MAX_DETAIL = 400  # characters of a cause in the history


def rerun_product(
    services: Services,
    sku: str,
    *,
    batch_id: str = "",
    record_count: Callable[[int], object] = lambda _: None,
) -> int:
    """Retry a product's failed runs and plan the missing ones; return how many runs were started.

    Args:
        batch_id: the batch that asks for it, if one does.
        record_count: is called with the same number in the transaction that stores the runs.

    Raises:
        NotFound: there is no such product.
    """
    record = services.products.get(sku)
    if record is None or record.deleted:
        raise NotFound("catalog", "run", f"there is no product {sku}")
    started = 0

    def retry_failed(result: IntakeResult) -> None:
        nonlocal started
        failed = services.runs.page(sku=sku, state="failed", limit=200)
        started = sum(retry_run(services, run) for run in failed) + result.planned
        record_count(started)

    ingest_again(services, record, batch_id=batch_id, record=retry_failed)
    return started


def count_missing(services: Services, record: ProductRecord) -> int:
    """Return how many assets a retry would make: failed ones, and those that were never planned.

    Those whose input cannot be used are left out. A new photo makes runs of its own.
    """
    sku, rules = record.product.sku, services.rules.current()
    runs = services.runs.page(sku=sku, limit=200)
    begun = {(run.deliverable, run.slot) for run in runs if run.state in OPEN_STATES}
    begun |= {(v.asset.deliverable, v.asset.slot) for v in services.assets.of_product(sku)}
    failed = {(run.deliverable, run.slot) for run in runs if _may_succeed(run)}
    begun |= {
        (run.deliverable, run.slot)
        for run in runs
        if run.state == RunState.FAILED or is_dismissed(run.state, run.error)
    }
    needed = needed_runs(services, record.product, record.sources, rules)
    return len(failed | ({(run.deliverable.name, run.slot) for run in needed} - begun))


def _may_succeed(run: RunRecord) -> bool:
    """Return whether a failed run can end otherwise: not if it is its input that cannot be used."""
    return run.state == RunState.FAILED and not failure_cause(run.error).lasts


def retry_run(services: Services, run: RunRecord) -> bool:
    """Queue a failed or cancelled run again; return whether it was in one of these states."""
    is_queued = services.runs.requeue(run.id)
    if is_queued:
        services.queue.wake(job_name(run.kind, bulk=run.bulk), [run.id])
    return is_queued


class FailureGroup(NamedTuple):
    """Failed runs that people handle together."""

    cause: str  # the error of the newest one
    number: int  # of runs
    text: str  # for people: their cause; without figures, where these differ


def failure_causes(services: Services) -> list[FailureGroup]:
    """Return the groups of the newest failed runs, the largest first."""
    return _grouped(run.error for run in services.runs.page(state=RunState.FAILED, limit=MAX_GROUPED))


def _grouped(errors: Iterable[str]) -> list[FailureGroup]:
    groups: dict[str, list[str]] = {}
    for error in errors:
        groups.setdefault(failure_cause(error).group, []).append(error)
    found = [failure_group(errors) for errors in groups.values()]
    return sorted(found, key=lambda group: -group.number)


def failure_group(errors: list[str]) -> FailureGroup:
    """Return the group of runs with these errors, the newest first."""
    cause = failure_cause(errors[0])
    text = cause.text if len(set(errors)) == 1 else cause.meaning
    return FailureGroup(errors[0], len(errors), text)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFailures:
    """The newest failed runs, each counted at one place: at its product's error, or at its own cause."""

    by_cause: list[FailureGroup]  # the largest first
    of_products: Mapping[IssueCode, int]  # runs that failed by an error for which their product is flagged


def open_failures(services: Services) -> OpenFailures:
    """Return the newest failed runs, apart from those that a flagged product explains."""
    failed = services.runs.page(state=RunState.FAILED, limit=MAX_GROUPED)
    errors = services.products.error_codes({run.sku for run in failed})
    of_runs: list[str] = []
    of_products: Counter[IssueCode] = Counter()
    for run in failed:
        cause = failure_cause(run.error)
        if cause.code is not None and cause.code in errors.get(run.sku, ()):
            of_products[cause.code] += 1
        else:
            of_runs.append(run.error)
    return OpenFailures(by_cause=_grouped(of_runs), of_products=of_products)


def retry_cause(services: Services, cause: str) -> int:
    """Queue the newest failed runs with one cause again; return how many."""
    return sum(retry_run(services, run) for run in _failed_by(services, cause))


def _failed_by(services: Services, cause: str) -> list[RunRecord]:
    """Return the newest failed runs whose error is of the same group as this one."""
    group = failure_cause(cause).group
    failed = services.runs.page(state=RunState.FAILED, limit=MAX_GROUPED)
    return [run for run in failed if failure_cause(run.error).group == group]


def dismiss_run(services: Services, run: RunRecord, *, by: str) -> bool:
    """Cancel a failed run that a person does not want any more; return whether it was failed.

    It counts as failed no longer. It can still be retried, and another input of its slot runs as ever.
    """
    with services.transaction():
        if not services.runs.dismiss(run.id):
            return False
        name = run.deliverable if run.slot == 1 else f"{run.deliverable} {run.slot}"
        why = failure_cause(run.error).text[:MAX_DETAIL]
        services.history.add("dismissed", sku=run.sku, by=by, detail=f"the failed run of {name}: {why}")
    return True


def dismiss_cause(services: Services, cause: str, *, by: str) -> int:
    """Dismiss the newest failed runs with one cause; return how many."""
    return sum(dismiss_run(services, run, by=by) for run in _failed_by(services, cause))


def dismiss_delivery(services: Services, delivery: DeliveryRecord, *, by: str) -> bool:
    """Ignore a failed delivery that a person has seen; return whether it was failed. It can be replayed."""
    with services.transaction():
        if not services.inbox.dismiss(delivery.id):
            return False
        services.audit.add(
            "delivery_dismissed",
            by=by,
            subject=delivery.connection,
            detail=f"{delivery.id}: {delivery.error[:MAX_DETAIL]}",
        )
    return True


def delivery_causes(services: Services, connection: str = "") -> list[tuple[str, int]]:
    """Return the causes of the newest failed deliveries and how many each has, the most frequent first.

    Args:
        connection: Only the deliveries of this connection; empty: of all.
    """
    failed = services.inbox.page(state="failed", connection=connection, limit=MAX_GROUPED)
    return Counter(delivery.error for delivery in failed).most_common()


def _failed_deliveries(services: Services, cause: str, connection: str) -> list[DeliveryRecord]:
    failed = services.inbox.page(state="failed", connection=connection, limit=MAX_GROUPED)
    return [delivery for delivery in failed if delivery.error == cause]


def dismiss_deliveries(services: Services, cause: str, *, by: str, connection: str = "") -> int:
    """Ignore the newest failed deliveries with one cause, of one connection or all; return how many."""
    found = _failed_deliveries(services, cause, connection)
    return sum(dismiss_delivery(services, each, by=by) for each in found)


def replay_deliveries(services: Services, cause: str, *, connection: str = "") -> int:
    """Handle the newest failed deliveries with one cause again, of one connection or all; return how many."""
    found = _failed_deliveries(services, cause, connection)
    for delivery in found:
        replay_delivery(services, delivery.id)
    return len(found)


def replay_delivery(services: Services, delivery_id: str) -> None:
    """Handle a delivery once more.

    Raises:
        NotFound: there is no such delivery.
    """
    if not services.inbox.reopen(delivery_id):
        raise NotFound("inbox", "replay", f"there is no delivery {delivery_id}")
    services.queue.wake("handle_delivery", [delivery_id])
