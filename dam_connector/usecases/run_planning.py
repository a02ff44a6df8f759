"""Planning: a run for each slot of each deliverable of a product, stored once for each input."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from dam_connector.domain.completeness import product_issues
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Severity
from dam_connector.domain.planning import PlannedRun, planned_runs
from dam_connector.domain.product import INSPIRATION, Product
from dam_connector.domain.rules import PHOTO, Deliverable, Rules
from dam_connector.domain.run import MAKING_KINDS, OPEN_STATES, RunState
from dam_connector.domain.used_photos import preferred_view
from dam_connector.domain.version import USABLE_STATES, Version, VersionFile
from dam_connector.domain.what_is_made import expected_deliverables, why_nothing
from dam_connector.errors import StateConflict
from dam_connector.store.catalog_state import Slot
from dam_connector.store.products import ProductRecord
from dam_connector.store.run_records import NEWER_FACTS, NewRun, RunRecord, base_input_hash
from dam_connector.usecases.changed_channels import bring_live_version_in_line, known_input_hash
from dam_connector.usecases.shared_shapes import join_shapes, joined_from, restore_joined, shapes_of
from dam_connector.wiring import Services

MAX_FAILED = 200  # newest failed runs of a product that are looked at
CANCELLED_BY_NEWS = (RunState.CANCELLED, NEWER_FACTS)  # state and error of a run that runs again
MAX_AT_ONCE = 10  # products of a shape; the recolourings of more wait behind single products


def plan_runs(
    services: Services,
    product: Product,
    sources: Mapping[str, Sha256],
    *,
    made_from: str = "",
    deliverables: Collection[str] = (),
    batch_id: str = "",
    bulk: bool = False,
    keeps_made: bool = False,
) -> int:
    """Plan and wake the runs that a product needs and that were not planned before; return how many.

    Args:
        sources: the product's stored images by view.
        made_from: plan only the runs that render this deliverable's model; empty: all runs.
        deliverables: plan only the runs of these; empty: all runs.
        batch_id: the batch that the product belongs to, if it is in one. It implies `bulk`.
        bulk: the runs wait behind those of single products.
        keeps_made: leave assets as they are for which nothing but the rules has changed since they were made;
            the application of the rules makes these again.
    """
    bulk = bulk or bool(batch_id)
    with services.transaction():
        rules = services.rules.current()
        changed = join_shapes(services, product, rules)
        planned = [
            p
            for p in needed_runs(services, product, sources, rules)
            if (not made_from or p.deliverable.made_from == made_from)
            and (not deliverables or p.deliverable.name in deliverables)
        ]
        if keeps_made:
            made = _made_by_former_rules(services, product, sources, rules)
            planned = [
                p
                for p in planned
                if (p.deliverable.name, p.slot) not in made
                or known_input_hash(services, product, p, rules) != p.input_hash  # only its channels changed
            ]
        count = _add_runs(services, product, planned, rules, batch_id=batch_id, bulk=bulk)
        for name, key, is_of_all in changed:
            plan_group(services, name, key, rules, but=product.sku, joined_only=not is_of_all, bulk=bulk)
        return count


def _made_by_former_rules(
    services: Services, product: Product, sources: Mapping[str, Sha256], rules: Rules
) -> set[tuple[str, int]]:
    """Return the slots that were made, or are being made, from the same input by other rules than these.

    One whose newest run failed, or of which all versions are blocked, is none of them.
    """
    usable = {
        (version.asset.deliverable, version.asset.slot)
        for version in services.assets.of_product(product.sku)
        if version.state in USABLE_STATES
    }
    found: set[tuple[str, int]] = set()
    inputs: dict[str, dict[tuple[str, int], set[str]]] = {}  # by the rules
    for slot, last in services.runs.newest_of_slots(product.sku).items():
        was_stopped = last.state is RunState.FAILED or (last.state, last.error) == CANCELLED_BY_NEWS
        is_made = last.state in OPEN_STATES or (slot in usable and not was_stopped)
        if not is_made or last.rules_fingerprint == rules.fingerprint:
            continue
        if last.rules_fingerprint not in inputs:
            before = services.rules.with_fingerprint(last.rules_fingerprint)
            inputs[last.rules_fingerprint] = {
                (p.deliverable.name, p.slot): {p.input_hash, *p.former_hashes}
                for p in needed_runs(services, product, sources, before)
            }
        if base_input_hash(last.input_hash) in inputs[last.rules_fingerprint].get(slot, ()):
            found.add(slot)
    return found


def cancel_outdated_failures(
    services: Services, product: Product, sources: Mapping[str, Sha256], *, can_run: bool
) -> None:
    """Cancel the failed runs of a product whose input is no longer asked for, e.g. of a photo that is gone.

    Args:
        product: the product, as it was just stored.
        sources: its stored images by view.
        can_run: whether anything can be made of it; else it is flagged, which says what is missing.
    """
    failed = [
        run
        for run in services.runs.page(sku=product.sku, state=RunState.FAILED, limit=MAX_FAILED)
        if run.kind in MAKING_KINDS
    ]
    if not failed:
        return
    rules = services.rules.current()
    needed = {
        (p.deliverable.name, p.slot): {known_input_hash(services, product, p, rules), *p.former_hashes}
        for p in (needed_runs(services, product, sources, rules) if can_run else ())
    }
    for run in failed:
        if base_input_hash(run.input_hash) not in needed.get((run.deliverable, run.slot), ()):
            services.runs.cancel_outdated(run.id)


def plan_group(
    services: Services,
    deliverable: str,
    key: str,
    rules: Rules,
    *,
    but: str = "",
    joined_only: bool = False,
    bulk: bool = False,
) -> int:
    """Plan the models of the products that share a shape, and the joined models; return how many runs.

    Args:
        deliverable: the model deliverable.
        key: what the products share.
        rules: the rules in force.
        but: the SKU of a product that is planned elsewhere.
        joined_only: plan the joined models alone.
        bulk: the runs wait behind those of single products.
    """
    count = 0
    owner = services.shapes.owner(deliverable, key)
    joined = [d.name for d in joined_from(deliverable, rules)]
    for each in joined_from(deliverable, rules) if owner else ():
        restore_joined(services, owner, each)
    members = services.shapes.members(deliverable, key) if owner else []
    for sku in members:
        names = [*([] if joined_only else [deliverable]), *(joined if sku == owner else [])]
        record = services.products.get(sku) if names and sku != but else None
        if record and can_be_made(record, rules):
            waits = bulk or (len(members) > MAX_AT_ONCE and sku != owner)
            count += plan_runs(services, record.product, record.sources, deliverables=names, bulk=waits)
    return count


def _add_runs(
    services: Services,
    product: Product,
    planned: list[PlannedRun],
    rules: Rules,
    *,
    batch_id: str,
    bulk: bool,
) -> int:
    """Store and wake the runs that were not planned before; return how many."""
    dropped = services.catalog_state.dropped_slots([product.sku])
    needed = []
    for p in planned:
        known = known_input_hash(services, product, p, rules)
        if known != p.input_hash:
            bring_live_version_in_line(services, product, p, rules)
        again = dropped.get(Slot(product.sku, p.deliverable.name, p.slot))  # once surplus, wanted now
        needed.append(
            NewRun(
                kind=p.deliverable.kind,
                sku=product.sku,
                deliverable=p.deliverable.name,
                slot=p.slot,
                input_hash=f"{known}~{again}" if again else known,
                former_hashes=() if again else p.former_hashes,
                rules_fingerprint=rules.fingerprint,
                bulk=bulk,
                batch_id=batch_id,
            )
        )
    added = services.runs.add(needed)
    services.queue.wake("advance_bulk_run" if bulk else "advance_run", added)
    return len(added)


def replan_run(services: Services, run: RunRecord, rules: Rules) -> NewRun:
    """Return an earlier run as some rules ask for it now.

    A reviewer's note and the generator that a person chose are kept.

    Raises:
        StateConflict: they ask for nothing in its place.
    """
    record = services.products.get(run.sku)
    is_usable = record is not None and not record.deleted and can_be_made(record, rules)
    needed = needed_runs(services, record.product, record.sources, rules) if record and is_usable else ()
    slot = (run.deliverable, run.slot)
    planned = next((each for each in needed if (each.deliverable.name, each.slot) == slot), None)
    if record is None or planned is None:
        raise StateConflict(f"by the rules in force, no {run.deliverable} is made of {run.sku} as it is now")
    known = known_input_hash(services, record.product, planned, rules)
    is_moved = known != planned.input_hash  # its hash is known by the rules that it began with
    return NewRun(
        kind=planned.deliverable.kind,
        sku=run.sku,
        deliverable=run.deliverable,
        slot=run.slot,
        input_hash=known,
        former_hashes=planned.former_hashes,
        rules_fingerprint=run.rules_fingerprint if is_moved else rules.fingerprint,
        note=run.note,
        bulk=run.bulk,
        batch_id=run.batch_id,
        generator=run.generator,
    )


def needed_runs(
    services: Services, product: Product, sources: Mapping[str, Sha256], rules: Rules
) -> Iterator[PlannedRun]:
    """Yield the runs that a product needs by some rules, whether or not they were planned before."""
    models = current_models(services, product, rules)
    shapes = shapes_of(services, product, rules)
    planned = list(planned_runs(product, sources, models, rules, services.rules.former_namings(), shapes))
    if not any(run.by_more_photos for run in planned):
        yield from planned
        return
    newest = services.runs.newest_of_slots(product.sku)
    versions = {version.run_id: version for version in services.assets.of_product(product.sku)}
    for run in planned:
        last = newest.get((run.deliverable.name, run.slot))
        yield _by_photos(run, last, versions.get(last.id)) if last and run.by_more_photos else run


def _by_photos(planned: PlannedRun, last: RunRecord, version: Version | None) -> PlannedRun:
    """Return a planned run by as many photos as the newest run of its slot needed to find a usable one.

    Args:
        planned: the run, by the photo that is preferred.
        last: the newest run of its slot.
        version: the version that it made; None: it made none.
    """
    if base_input_hash(last.input_hash) != planned.input_hash:
        return planned  # the preferred photo is another one, or what it needed is among the former hashes
    if last.state == RunState.FAILED or (last.state, last.error) == CANCELLED_BY_NEWS:
        return planned.by_more_photos[-1]
    used = version.sources if version else {}
    if not used or preferred_view(planned.deliverable, planned.inputs) in used:
        return planned
    for found in planned.by_more_photos:
        added = set(found.inputs) - set(planned.inputs)
        if added & set(used):
            is_next = len(added) == 1 and all(found.inputs[view] == used[view] for view in added)
            former = (planned.input_hash,) if is_next else ()  # it was made before anybody knew
            return replace(found, former_hashes=(*found.former_hashes, *former))
    return planned


def can_be_made(record: ProductRecord, rules: Rules) -> bool:
    """Return whether a product has all that its runs need by some rules."""
    issues = product_issues(record.product, rules.products)
    has_picture = bool(set(record.sources) - {INSPIRATION}) or bool(record.product.swatch)
    return has_picture and not any(issue.severity is Severity.ERROR for issue in issues)


def what_is_made(
    services: Services, product: Product, pictures: Collection[str], rules: Rules
) -> tuple[list[Deliverable], str]:
    """Return the deliverables that rules make of a product, and why it is none.

    Args:
        pictures: the keys of its pictures and of its model, e.g. of `image_urls`; they need not be fetched.

    Returns:
        The deliverables as the product's request changes them. If there are none, the reason for people.
    """
    found = expected_deliverables(product, pictures, rules)
    found = found or expected_deliverables(product, pictures, rules, current_models(services, product, rules))
    return found, "" if found else why_nothing(product, pictures, rules)


def current_models(services: Services, product: Product, rules: Rules) -> dict[str, Sha256]:
    """Return the GLBs of a product from which renditions are made now, by deliverable."""
    return {
        d.made_from: glb.sha256
        for d in rules.deliverables
        if (glb := _current_glb(services, product.sku, d.made_from))
    }


def _current_glb(services: Services, sku: str, deliverable: str) -> VersionFile | None:
    version = services.assets.current(sku, deliverable) if deliverable != PHOTO else None
    return version.file("glb") if version else None
