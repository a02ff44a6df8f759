"""Retries: a product's failed and missing runs, a run, or a delivery are begun again by people."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from dam_connector.domain.failure_cause import failure_cause
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.rules import Rules
from dam_connector.domain.run import MAKING_KINDS, OPEN_STATES, RunState, job_name
from dam_connector.errors import NotFound, StateConflict
from dam_connector.store.inbox import DeliveryRecord
from dam_connector.store.products import ProductRecord
from dam_connector.store.run_records import BlockedRun, FailedRun, RunRecord, base_input_hash, is_dismissed
from dam_connector.usecases.product_intake import IntakeResult, ingest_again
from dam_connector.usecases.run_planning import needed_runs, replan_run
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

    They follow the rules in force. An asset of which there is a usable version is not made again because the
    rules have changed: `rules_change` does that, when somebody applies them.

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
        started = _retry_all(services, failed) + result.planned
        record_count(started)

    ingest_again(services, record, batch_id=batch_id, record=retry_failed)
    return started


def count_missing(services: Services, record: ProductRecord) -> int:
    """Return how many assets a retry would make: failed ones, and those that were never planned.

    Those whose input cannot be used are left out, until the rules for it change. A new photo makes runs of
    its own.
    """
    sku, rules = record.product.sku, services.rules.current()
    runs = services.runs.page(sku=sku, limit=200)
    begun = {(run.deliverable, run.slot) for run in runs if run.state in OPEN_STATES}
    begun |= {(v.asset.deliverable, v.asset.slot) for v in services.assets.of_product(sku)}
    begun -= {(run.deliverable, run.slot) for run in blocked_by_other_rules(services, [sku])}
    failed = {
        (run.deliverable, run.slot)
        for run in runs
        if run.state == RunState.FAILED and can_retry_help(services, run)
    }
    begun |= {
        (run.deliverable, run.slot)
        for run in runs
        if run.state == RunState.FAILED
        or (is_dismissed(run.state, run.error) and not _have_rules_changed(services, run))
    }
    needed = needed_runs(services, record.product, record.sources, rules)
    return len(failed | ({(run.deliverable.name, run.slot) for run in needed} - begun))


def can_retry_help(services: Services, run: RunRecord | FailedRun) -> bool:
    """Return whether a failed or cancelled run can end otherwise.

    It cannot if its input is what cannot be used, unless the rules in force may ask for another input.
    """
    return not failure_cause(run.error).lasts or _have_rules_changed(services, run)


def blocked_by_other_rules(services: Services, skus: Collection[str]) -> list[BlockedRun]:
    """Return the runs of products' blocked versions that a retry makes again, since their rules changed.

    Those are left out of whose asset another version is usable.
    """
    blocked = services.runs.blocked_of(skus, but_rules=services.rules.current().fingerprint)
    return [run for run in blocked if _have_rules_changed(services, run, but_channels=True)]


def _have_rules_changed(
    services: Services, run: RunRecord | FailedRun | BlockedRun, *, but_channels: bool = False
) -> bool:
    """Return whether the rules for what a run makes are others by now, and still ask for it.

    `but_channels`: other channels do not count, since nothing is made again for them.
    """
    rules = services.rules.current()
    if run.rules_fingerprint == rules.fingerprint or run.kind not in MAKING_KINDS:
        return False
    before = services.rules.with_fingerprint(run.rules_fingerprint)
    known, deliverable = before.deliverable(run.deliverable), rules.deliverable(run.deliverable)
    if but_channels and known and deliverable:
        known = replace(known, channels=deliverable.channels)
    is_same = known == deliverable
    return deliverable is not None and (
        not is_same or (before.checks, before.imaging) != (rules.checks, rules.imaging)
    )


def retry_run(services: Services, run: RunRecord) -> RunRecord | None:
    """Begin a failed or cancelled run again, by the rules in force; return the run that is queued now.

    Where the rules have changed since so that they ask for another input, this is a new run from the first
    step on, as the application of the rules plans it. Else it is the same run from its last checkpoint on.

    Returns:
        The queued run; None if the run is neither failed nor cancelled.

    Raises:
        StateConflict: it would fail again, by the rules in force nothing is made in its place, or a newer run
            makes it.
    """
    rules = services.rules.current()
    if run.state not in (RunState.FAILED, RunState.CANCELLED):
        return None
    if run.kind in MAKING_KINDS and run.rules_fingerprint != rules.fingerprint:
        return _retry_by_rules(services, run, rules)
    return _requeue(services, run)


def _retry_by_rules(services: Services, run: RunRecord, rules: Rules) -> RunRecord | None:
    """Begin a run of other rules again by these; return the run that is queued now."""
    planned = replan_run(services, run, rules)
    if base_input_hash(run.input_hash) in (planned.input_hash, *planned.former_hashes):
        return _requeue(services, run, planned.rules_fingerprint)
    added = services.runs.add([planned])
    if not added:
        newest = services.runs.newest_of_slots(run.sku)[run.deliverable, run.slot]
        if queued := _requeue(services, newest):
            return queued
        raise StateConflict(f"{run.deliverable} of {run.sku} is made by the rules in force already")
    services.queue.wake(job_name(planned.kind, bulk=planned.bulk), added)
    return services.runs.get(added[0])


def _requeue(services: Services, run: RunRecord, rules_fingerprint: str = "") -> RunRecord | None:
    """Queue a run again from its checkpoint on; arguments: see `Runs.requeue`.

    Raises:
        StateConflict: it is over, and would fail again.
    """
    if run.state not in OPEN_STATES and not can_retry_help(services, run):
        cause = failure_cause(run.error)
        text, remedy = cause.text.rstrip("."), cause.remedy_for(is_admin=False).rstrip(".")
        raise StateConflict(f"the run would fail again: {text}. {remedy}")
    if not services.runs.requeue(run.id, rules_fingerprint=rules_fingerprint):
        return None
    services.queue.wake(job_name(run.kind, bulk=run.bulk), [run.id])
    return services.runs.get(run.id)


def _retry_all(services: Services, runs: Iterable[RunRecord]) -> int:
    """Begin runs again; return how many. Those that the rules in force do not ask for are left out."""
    count = 0
    for run in runs:
        with suppress(StateConflict):
            count += retry_run(services, run) is not None
    return count


class FailureGroup(NamedTuple):
    """Failed runs that people handle together."""

    cause: str  # the error of the newest one
    number: int  # of runs
    text: str  # for people: their cause; without figures, where these differ
    can_retry_help: bool  # whether one of them can end otherwise


def failure_causes(services: Services) -> list[FailureGroup]:
    """Return the groups of the newest failed runs, the largest first."""
    return _grouped(services, services.runs.page(state=RunState.FAILED, limit=MAX_GROUPED))


def _grouped(services: Services, runs: Iterable[RunRecord]) -> list[FailureGroup]:
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(failure_cause(run.error).group, []).append(run)
    found = [failure_group(services, runs) for runs in groups.values()]
    return sorted(found, key=lambda group: -group.number)


def failure_group(services: Services, runs: list[RunRecord]) -> FailureGroup:
    """Return the group of some failed runs, the newest first."""
    errors = [run.error for run in runs]
    cause = failure_cause(errors[0])
    return FailureGroup(
        cause=errors[0],
        number=len(errors),
        text=cause.text if len(set(errors)) == 1 else cause.meaning,
        can_retry_help=any(can_retry_help(services, run) for run in runs),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFailures:
    """The newest failed runs, each counted at one place: at its product's error, or at its own cause."""

    by_cause: list[FailureGroup]  # the largest first
    of_products: Mapping[IssueCode, int]  # runs that failed by an error for which their product is flagged


def open_failures(services: Services) -> OpenFailures:
    """Return the newest failed runs, apart from those that a flagged product explains."""
    failed = services.runs.page(state=RunState.FAILED, limit=MAX_GROUPED)
    errors = services.products.error_codes({run.sku for run in failed})
    of_runs: list[RunRecord] = []
    of_products: Counter[IssueCode] = Counter()
    for run in failed:
        cause = failure_cause(run.error)
        if cause.code is not None and cause.code in errors.get(run.sku, ()):
            of_products[cause.code] += 1
        else:
            of_runs.append(run)
    return OpenFailures(by_cause=_grouped(services, of_runs), of_products=of_products)


def retry_cause(services: Services, cause: str) -> int:
    """Queue the newest failed runs with one cause again; return how many."""
    return _retry_all(services, _failed_by(services, cause))


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
