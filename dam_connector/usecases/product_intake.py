"""Intake of one product: its facts and images are stored, and its runs are planned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from dam_connector.domain.completeness import product_issues
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue, Severity
from dam_connector.domain.photo_sources import with_photos
from dam_connector.domain.product import INSPIRATION, Product
from dam_connector.store.products import ProductRecord
from dam_connector.usecases.adoption import FoundFiles, ReadyFile, adopt_files, read_files
from dam_connector.usecases.changed_channels import send_changed_texts
from dam_connector.usecases.dam_photos import photo_urls
from dam_connector.usecases.expiry import restore_when_back
from dam_connector.usecases.run_planning import (
    cancel_outdated_failures,
    plan_runs,
    what_is_made,
)
from dam_connector.usecases.shared_shapes import shape_awaited
from dam_connector.usecases.source_images import NONE_FETCHED, Fetched, store_source_images
from dam_connector.usecases.stored_facts import Keep, store_facts
from dam_connector.wiring import Services

MAX_CAUSE_CHARACTERS = 400  # of an exception that nobody expected, and of errors in a summary


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """The result of taking in one product."""

    summary: str  # for people, e.g. `CH123: 4 runs planned`
    planned: int  # runs that were not planned before
    makes_nothing: str = ""  # why the rules make nothing of the product, or empty
    errors: str = ""  # why the product is flagged, or empty
    adopted: int = 0  # first versions that were taken over


class _Planning(NamedTuple):
    """How the runs of a product are planned, see `plan_runs`."""

    batch_id: str
    bulk: bool


def ingest_product(
    services: Services,
    product: Product,
    *,
    connection: str,
    ref: str,
    source_time: datetime,
    last_try: bool = True,
    batch_id: str = "",
    bulk: bool = False,
    record: Callable[[IntakeResult], object] = lambda _: None,
    keep: Keep = Keep.UPLOADED,
    finished: FoundFiles | None = None,
    fetched: Fetched = NONE_FETCHED,
) -> IntakeResult:
    """Store a product and its images, and plan its runs.

    The facts are stored at once. When the images are there, all that follows from them is stored in one
    transaction. When newer facts of the product or other photos in a DAM arrive meanwhile, e.g. by a second
    webhook, they are taken in as well, so that the images and issues stored last are those of the newest.
    Assets for which only the rules have changed stay until these are applied.

    Args:
        connection: the PIM's name in plugin.json; empty for products that people add.
        ref: the PIM's reference of the product.
        source_time: when the product changed at its source; an older time than the stored changes nothing.
        last_try: an image whose server is away becomes an issue instead of an exception.
        batch_id: the batch that the product belongs to, if it is in one.
        bulk: the product is one of many; its runs wait behind those of single products.
        record: is called with the result in the transaction that stores it.
        keep: which pictures and models stay that these facts do not name.
        finished: files that become the first versions of its assets, from `adoption.find_finished`.
        fetched: images that are stored already, see `store_source_images`.

    Raises:
        Unavailable, RateLimited: the server of an image is away, and it is not the last try.
    """
    how = _Planning(batch_id, bulk)
    while stored := store_facts(services, product, connection, ref, source_time, keep=keep):
        urls = photo_urls(services, stored.sku)
        product = with_photos(stored, urls)
        issues = product_issues(product, services.rules.current().products)
        sources, image_issues = store_source_images(
            services, product, connection=connection, last_try=last_try, fetched=fetched
        )
        ready = read_files(services, product, sources, finished) if finished is not None else {}
        with services.transaction():
            newest = services.products.lock(product.sku)
            has_newest = newest is None or newest.source_time <= source_time
            if has_newest and urls == photo_urls(services, stored.sku):
                found = (*issues, *image_issues)
                return _store_findings_and_plan(services, product, sources, found, ready, how, record)
        product = stored
        if newest and not has_newest:
            product, connection, ref = newest.product, newest.connection, newest.ref
            source_time = newest.source_time
    result = IntakeResult(f"{product.sku}: older than what is known", 0)
    record(result)
    return result


def ingest_again(
    services: Services,
    known: ProductRecord,
    *,
    last_try: bool = True,
    batch_id: str = "",
    bulk: bool = False,
    record: Callable[[IntakeResult], object] = lambda _: None,
    finished: FoundFiles | None = None,
) -> IntakeResult:
    """Take in a product as it is stored: its photos are fetched anew, and what is missing is planned.

    The arguments and errors are those of `ingest_product`.
    """
    return ingest_product(
        services,
        known.product,
        connection=known.connection,
        ref=known.ref,
        source_time=known.source_time,
        last_try=last_try,
        batch_id=batch_id,
        bulk=bulk,
        record=record,
        finished=finished,
    )


def _store_findings_and_plan(
    services: Services,
    product: Product,
    sources: Mapping[str, Sha256],
    issues: tuple[Issue, ...],
    ready: Mapping[str, ReadyFile | str],
    how: _Planning,
    record: Callable[[IntakeResult], object],
) -> IntakeResult:
    """Store a product's images and issues, adopt what is ready, and plan its runs if it is complete."""
    required = product_issues(product, services.rules.current().products)
    is_incomplete = any(i.severity is Severity.ERROR for i in required)
    services.products.set_findings(product.sku, sources, issues)
    restore_when_back(services, product)
    if product.translations:
        send_changed_texts(services, product)
    adopted = adopt_files(services, product, sources, ready)
    # A row of a sheet fails as a whole, as its check says: a person corrects it and uploads it again.
    is_failed_row = bool(how.batch_id) and any(i.severity is Severity.ERROR for i in issues)
    has_picture = bool(set(sources) - {INSPIRATION}) or bool(product.swatch)
    can_run = has_picture and not is_incomplete and not is_failed_row
    planned = plan_runs(services, product, sources, keeps_made=True, **how._asdict()) if can_run else 0
    cancel_outdated_failures(services, product, sources, can_run=can_run)
    errors = "; ".join(i.message.rstrip(".") for i in issues if i.severity is Severity.ERROR)
    _, nothing = (
        ([], "")
        if planned or errors
        else what_is_made(services, product, set(sources), services.rules.current())
    )
    awaited = shape_awaited(services, product, sources, services.rules.current()) if can_run else ""
    planned_text = nothing or f"{planned} {'run' if planned == 1 else 'runs'} planned"
    parts = [
        planned_text if can_run or not errors else "",
        f"its model waits for {awaited}" if awaited else "",
        f"flagged: {errors[:MAX_CAUSE_CHARACTERS]}" if errors else "",
        f"adopted: {' and '.join(adopted)}" if adopted else "",
        *(f"not adopted: {each}" for each in ready.values() if isinstance(each, str)),
    ]
    summary = f"{product.sku}: {', '.join(filter(None, parts))}"
    result = IntakeResult(summary, planned, nothing, errors, len(adopted))
    record(result)
    return result
