"""Changes of plugin.json: what they do to the catalog, shown before they are applied, and their application.

A change is applied page by page in the background, by the process that polls: assets are made anew in the
lane of batches, then channels are brought in line. What is left of it is in a note, so that it goes on after
a restart.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

import structlog

from dam_connector.domain.product import Product
from dam_connector.domain.rules import LOCAL, Apply, Deliverable, Rules
from dam_connector.domain.rules_effect import RulesEffect
from dam_connector.domain.used_photos import lacking_deliverable
from dam_connector.domain.wanted_slots import is_wanted, wanted_channels
from dam_connector.errors import ConfigError, StateConflict
from dam_connector.store.catalog_state import Slot
from dam_connector.store.products import ProductRecord
from dam_connector.store.rules_archive import changed_keys
from dam_connector.usecases.changed_channels import (
    channels_with_other_texts,
    known_input_hash,
    send_changed_texts,
)
from dam_connector.usecases.consistency_checks import check_records, repair_records
from dam_connector.usecases.estimates import NOBODY, capture_seconds, estimate_seconds, first_generator
from dam_connector.usecases.run_planning import can_be_made, needed_runs, plan_runs
from dam_connector.usecases.surplus import drop_surplus
from dam_connector.wiring import Services

log = structlog.get_logger()
NOTE = "rules-change"
PAGE = 200  # products at a time
MOST_PLANNED = 2000  # products whose effect pages and the API show; the command line looks at all
PLAN_LOCK = "rules-plan"


def plan_change(services: Services, *, most_products: int = 0) -> RulesEffect:
    """Return what the application of plugin.json would do; change nothing.

    Args:
        most_products: look at so many products only, the newest; 0: at all.

    Raises:
        Busy: another one with `most_products` is under way.
    """
    with services.locks.lock(PLAN_LOCK) if most_products else nullcontext():
        return _planned_change(services, most_products)


def _planned_change(services: Services, most_products: int) -> RulesEffect:
    current = services.rules.current()
    rules = services.rules.pending or current
    effect = RulesEffect(fingerprint=rules.fingerprint, is_pending=rules is not current)
    if rules is not current:
        before = services.rules_archive.get(current.fingerprint) or "{}"
        effect.changed = changed_keys(before, services.rules.pending_text)
    effect.all_products = services.products.counts()["all"]
    for records in _pages(services):
        _add_page(services, effect, records, rules)
        if most_products and effect.products >= most_products:
            break
    effect.seconds = estimate_seconds(
        services, effect.new + effect.anew, rules.deliverables, effect.capture_s
    )
    return effect


def _pages(services: Services, before: str = "") -> Iterator[list[ProductRecord]]:
    while records := services.products.page(before=before, limit=PAGE):
        yield records
        before = records[-1].id


def _add_page(services: Services, effect: RulesEffect, records: list[ProductRecord], rules: Rules) -> None:
    skus = [record.product.sku for record in records]
    state = services.catalog_state
    known = _Known(
        inputs=state.newest_inputs(skus), made=state.made_slots(skus), dropped=state.dropped_slots(skus)
    )
    live = state.live_slots(skus)
    products = {str(record.product.sku): record.product for record in records}
    for record in records:
        effect.products += 1
        if can_be_made(record, rules):
            _add_runs(services, effect, record, rules, known)
    sent_again = _channels_to_compare(services, rules)
    for slot, channels in live.items():
        wanted = set(wanted_channels(rules, products[slot.sku], slot.deliverable, slot.number))
        effect.published.update(wanted - channels | wanted & sent_again)
        effect.withdrawn.update(channels - wanted)
        if channels and not is_wanted(rules, products[slot.sku], slot.deliverable, slot.number):
            effect.surplus_live[f"{slot.deliverable} {slot.number}"] += 1
    for slot in state.undecided_slots(skus):
        if not is_wanted(rules, products[slot.sku], slot.deliverable, slot.number):
            effect.surplus[f"{slot.deliverable} {slot.number}"] += 1


def _channels_to_compare(services: Services, rules: Rules) -> set[str]:
    """Return the channels whose listings have other texts than by the rules that were applied last."""
    note = progress(services)
    if not note:
        return set()
    applied = services.rules.with_fingerprint(note["fingerprint"])
    left = set() if note.get("done") else set(note.get("channels", ()))
    return channels_with_other_texts(applied, rules) | left


class _Known(NamedTuple):
    """What was made or tried of some products."""

    inputs: dict[Slot, str]  # the input hash of the newest run of each slot
    made: set[Slot]  # those with a version
    dropped: Mapping[Slot, str]  # those that were surplus, see `CatalogState.dropped_slots`


def _add_runs(
    services: Services, effect: RulesEffect, record: ProductRecord, rules: Rules, known: _Known
) -> None:
    """Add the versions that a product needs; those that are rendered from a model follow a new model."""
    product, remade = record.product, set()
    for run in needed_runs(services, product, record.sources, rules):
        deliverable = run.deliverable
        slot = Slot(product.sku, deliverable.name, run.slot)
        same = (run.input_hash, *run.former_hashes, known_input_hash(services, product, run, rules))
        is_made = known.inputs.get(slot) in same and slot not in known.dropped
        if is_made and deliverable.made_from not in remade:
            continue
        generator = _add_price(services, effect, deliverable, product, run.inputs)
        if generator == NOBODY:
            effect.not_made[deliverable.name] += 1
            continue
        effect.capture_s += capture_seconds(deliverable, generator, run.inputs)
        remade.add(deliverable.name)
        (effect.anew if slot in known.made else effect.new)[deliverable.name] += 1


def _add_price(
    services: Services,
    effect: RulesEffect,
    deliverable: Deliverable,
    product: Product,
    pictures: Collection[str],
) -> str:
    """Add the price of a version, and return the generator that is asked first, or `NOBODY`."""
    try:
        generator, usd = first_generator(services, deliverable, product, pictures)
    except ConfigError:
        effect.unpriced |= set(deliverable.generator) - {LOCAL}
        return LOCAL
    effect.usd += usd
    return generator


def apply_rules(services: Services, *, by: str, fingerprint: str = "") -> Rules:
    """Put plugin.json in force and begin to bring everything in line with it; return its rules.

    Args:
        by: who asked for it.
        fingerprint: of the rules whose effect was shown; empty: whichever they are.

    Raises:
        StateConflict: plugin.json has changed since its effect was shown.
        ConfigError: plugin.json has errors.
    """
    services.rules.current()
    if services.rules.problem:
        raise services.rules.problem
    with services.transaction():
        rules = services.rules.pending or services.rules.current()
        if fingerprint and fingerprint != rules.fingerprint:
            raise StateConflict("plugin.json has changed since; look again at what it does")
        services.rules.accept()
        services.audit.add("rules_applied", by=by, subject=rules.fingerprint[:12])
        _start(services, rules)
    return rules


def _start(services: Services, rules: Rules) -> None:
    channels = sorted(_channels_to_compare(services, rules))
    note = {"fingerprint": rules.fingerprint, "before": "", "planned": 0, "published": 0}
    services.notes.set(NOTE, {**note, "channels": channels})


def progress(services: Services) -> dict[str, Any]:
    """Return how far the application of rules came: the note, which is empty if none was ever applied."""
    return dict(services.notes.get(NOTE) or {})


def is_applying(services: Services) -> bool:
    """Return whether the rules in force are being applied just now."""
    note = progress(services)
    is_current = note.get("fingerprint") == services.rules.current().fingerprint
    return is_current and not note.get("done") and services.rules.pending is None


def continue_change(services: Services) -> int:
    """Apply a change to the next page of products, or at last to the channels; return how many runs began.

    Nothing is done if no change is being applied. A change that plugin.json wants applied at once is begun.
    """
    current, note = services.rules.current(), progress(services)
    if not note:  # a new installation, or the first start of this release: all is as the rules say
        services.notes.set(NOTE, {"fingerprint": current.fingerprint, "done": True})
        return 0
    if note["fingerprint"] != current.fingerprint:
        if current.changes.apply == Apply.AUTOMATIC:
            _start(services, current)
        return 0
    if note.get("done"):
        return 0
    return _apply_page(services, note) or _apply_to_channels(services, note)


def _apply_page(services: Services, note: dict[str, Any]) -> int:
    """Plan the runs of a page of products; return 0 when there are no more pages."""
    records = next(_pages(services, note["before"]), [])
    if not records:
        return 0
    rules, planned, published = services.rules.current(), 0, 0
    with services.transaction():
        for record in records:
            _drop_outdated_issues(services, record, rules)
            drop_surplus(services, record.product, rules)
            if can_be_made(record, rules):
                planned += plan_runs(services, record.product, record.sources, bulk=True)
            if channels := note.get("channels"):
                published += send_changed_texts(services, record.product, channels)
        note |= {"before": records[-1].id, "planned": note["planned"] + planned}
        note |= {"published": note["published"] + published}
        services.notes.set(NOTE, note)
    return len(records)


def _drop_outdated_issues(services: Services, record: ProductRecord, rules: Rules) -> None:
    """Remove issues from a product about sources of deliverables that the rules no longer name."""
    names = {"", *(d.name for d in rules.deliverables)}
    services.products.drop_issues(record.product.sku, lambda each: lacking_deliverable(each) not in names)


def _apply_to_channels(services: Services, note: dict[str, Any]) -> int:
    """Bring the channels in line, and end the change."""
    found = list(check_records(services))
    for problem in found:
        repair_records(services, problem.sku, problem.ref)
    published = note["published"] + len(found)
    services.notes.set(NOTE, {**note, "published": published, "done": True})
    log.info("rules_applied", planned=note["planned"], published=published)
    return len(found)
