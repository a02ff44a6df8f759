"""Intake: from a webhook to planned runs.

The functions follow the way of a webhook: `receive_webhook` stores it while the sender waits.
`handle_delivery` is the job that interprets it. `ingest_event` reads the products, `ingest_product`
(product_intake.py) stores one with its images, and `plan_runs` (run_planning.py) plans a run for each slot of
each deliverable. Below them: the same started by people.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from dam_connector import tracing
from dam_connector.domain.codec import to_plain
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.outside_values import limit_to_clock
from dam_connector.domain.product import Product
from dam_connector.domain.retry_policy import DELIVERY_RETRIES
from dam_connector.errors import (
    RETRYABLE,
    AdapterError,
    BadOutput,
    Busy,
    ConfigError,
    NotFound,
    StorageUnavailable,
)
from dam_connector.ports import ExplainsMessages, InboundWebhook, Pim
from dam_connector.store.inbox import DeliveryRecord
from dam_connector.store.products import ProductRecord
from dam_connector.store.request_origin import work_origin
from dam_connector.usecases.adoption import FoundFiles
from dam_connector.usecases.dam_sync.inbound import sync_from_dam
from dam_connector.usecases.photo_sync import photo_supplier, sync_photo
from dam_connector.usecases.product_intake import MAX_CAUSE_CHARACTERS, IntakeResult, ingest_product
from dam_connector.usecases.provider_orders import poll_task_now
from dam_connector.usecases.stored_facts import Keep
from dam_connector.usecases.watched_rows import ingest_row
from dam_connector.usecases.webhook_receipt import receive_webhook  # noqa: F401 - both halves are found here
from dam_connector.wiring import Services

log = structlog.get_logger()
WAIT_S = 20.0  # until a delivery is tried again for which there was no room or no slot


def handle_delivery(services: Services, delivery_id: str) -> None:
    """Do what a stored delivery asks for. Do nothing when it was handled before or does not exist.

    An exception that nobody expected is a bug of ours: its traceback is logged, and it counts as an attempt.
    So the delivery is failed after the tries of `DELIVERY_RETRIES`, and cannot be repeated for ever. All
    lines of the log about it have its id as `origin`, and so have those about the runs that follow.
    """
    token = work_origin.set(delivery_id)
    try:
        with (
            structlog.contextvars.bound_contextvars(origin=delivery_id, delivery_id=delivery_id),
            tracing.span("delivery", origin=delivery_id, delivery_id=delivery_id),
        ):
            _handle_once(services, delivery_id)
    finally:
        work_origin.reset(token)


def _handle_once(services: Services, delivery_id: str) -> None:
    record = None
    try:
        record = services.inbox.get(delivery_id)
        if record is None or record.state != "received":
            return
        services.disk.require()
        outcome, summary = _handle_by_port(services, record)
        services.inbox.finish(delivery_id, outcome, summary=summary)
        log.info("delivery_handled", summary=summary[:MAX_CAUSE_CHARACTERS])
    except (Busy, StorageUnavailable) as error:  # it counts as no attempt, however long it lasts
        services.inbox.postpone([delivery_id], WAIT_S)
        outcome = "waiting"
        log.warning("delivery_waits", error=str(error))
    except RETRYABLE as error:
        outcome = "retried" if services.inbox.retry_later(delivery_id, str(error)) else "failed"
        log.warning("delivery_put_off" if outcome == "retried" else "delivery_failed", error=str(error))
    except (AdapterError, ConfigError) as error:
        services.inbox.finish(delivery_id, "failed", error=str(error))
        outcome = "failed"
        log.warning("delivery_failed", error=str(error))
    except Exception as error:
        cause = f"an internal error, {type(error).__name__}: {error}"[:MAX_CAUSE_CHARACTERS]
        will_retry = services.inbox.retry_later(delivery_id, f"{cause}; the log has the traceback")
        outcome = "crashed"
        log.exception("delivery_crashed", delivery_id=delivery_id, will_retry=will_retry)
    if record:
        _count_end(services, record, outcome)


def _count_end(services: Services, record: DeliveryRecord, outcome: str) -> None:
    tracing.note(connection=record.connection, delivery_outcome=outcome)
    services.counters.add("deliveries_ended", connection=record.connection, outcome=outcome)
    if outcome in ("handled", "ignored", "failed"):
        seconds = (services.clock.now() - record.inbound.received_at).total_seconds()
        services.counters.observe("delivery_seconds", max(0.0, seconds), connection=record.connection)


def _handle_by_port(services: Services, record: DeliveryRecord) -> tuple[str, str]:
    """Handle a delivery by the kind of system that sent it; return its state and a summary for people."""
    rules, name = services.rules.current(), record.connection
    if name in rules.provider:
        ref = services.provider(name).parse_webhook(record.inbound)
        return "handled", poll_task_now(services, name, ref)
    if name in rules.dam:
        return "handled", _handle_from_dam(services, record)
    last_try = DELIVERY_RETRIES.is_last(record.attempts)
    source = services.pim(name)
    events = source.normalize(record.inbound)
    if not events:
        return "ignored", ignored_text(source, record.inbound)
    return "handled", _ingest_each(services, name, events, record.inbound.received_at, last_try)


def ignored_text(source: Pim, inbound: InboundWebhook) -> str:
    """Return for people why a message without an event is ignored, if its adapter can say it."""
    reason = source.why_ignored(inbound) if isinstance(source, ExplainsMessages) else ""
    return "no event about a product" + (f": {reason}" if reason else "")


def _handle_from_dam(services: Services, record: DeliveryRecord) -> str:
    """Read the versions and the photos that a DAM reports as changed; return a summary for people."""
    name, last_try = record.connection, DELIVERY_RETRIES.is_last(record.attempts)
    supplier = photo_supplier(services, name)
    photos = supplier.photo_refs(record.inbound) if supplier else []
    versions = services.dam(name).parse_webhook(record.inbound)
    done = []
    for ref in dict.fromkeys([*versions, *photos]):
        if supplier and ref in photos and not services.assets.by_dam_ref(name, ref):
            done.append(sync_photo(services, name, ref, supplier.photo(ref), last_try=last_try))
        else:
            done.append(sync_from_dam(services, name, ref))
    return "; ".join(filter(None, done)) or "no version of ours"


def _ingest_each(
    services: Services, connection: str, events: list[Event], received_at: datetime, last_try: bool
) -> str:
    """Take in each event of a delivery, also after one that cannot be; return a summary for people.

    Raises:
        RETRYABLE: an event waits; the others are taken in, and may be again.
        BadOutput: an event cannot be taken in; the message says which, and what became of the others.
    """
    done, waiting, failed = [], [], []
    for event in events:
        try:
            done.append(ingest_event(services, connection, event, last_try=last_try, received_at=received_at))
        except RETRYABLE as error:
            waiting.append(error)
        except AdapterError as error:
            if len(events) == 1:
                raise
            is_ours = (error.vendor, error.operation) == (connection, "normalize")  # said once for all
            failed.append(f"{event.ref or 'a product'}: {error.reason if is_ours else error}")
    if waiting:
        raise waiting[0]
    if failed:
        others = f"; the other {len(done)} were taken in: {'; '.join(done)}" if done else ""
        raise BadOutput(connection, "normalize", "; ".join(failed) + others)
    return "; ".join(done)


def ingest_event(
    services: Services,
    connection: str,
    event: Event,
    *,
    last_try: bool = True,
    bulk: bool = False,
    received_at: datetime | None = None,
    finished: FoundFiles | None = None,
    record: Callable[[IntakeResult], object] = lambda _: None,
) -> str:
    """Take in the products that an event of a PIM names, or mark them as deleted.

    Args:
        connection: the PIM's name in plugin.json.
        last_try: see `ingest_product`.
        bulk: the event is one of many; its runs wait behind those of single products.
        received_at: when it came, for a time that is too far ahead; None: now.
        finished, record: as in `ingest_product`.

    Returns:
        A summary for people.

    Raises:
        Refused, Unsupported, BadOutput: the product cannot be fetched; do not retry.
        Unavailable, RateLimited: the PIM or, unless it is the last try, the server of an image is away; retry
            later.
    """
    if event.problem:
        raise BadOutput(connection, "normalize", event.problem)
    more = {"last_try": last_try, "bulk": bulk, "finished": finished, "record": record}
    at = limit_to_clock(event.at, received_at or services.clock.now())
    if at < event.at:
        note = (
            f" (its time, {event.at:%Y-%m-%d %H:%M} UTC, is ahead of our clock; it counts as {at:%H:%M:%S})"
        )
        return _ingest(services, connection, replace(event, at=at), **more) + note
    return _ingest(services, connection, event, **more)


def _ingest(services: Services, connection: str, event: Event, **more: Any) -> str:
    """Take in an event whose time is believed; `more` goes to `ingest_product`. See `ingest_event`."""
    if event.kind is EventKind.DELETED and services.pim(connection).capabilities.can_fetch:
        # A header that no signature covers may have said so. The source knows: a product that is there stays.
        event = replace(event, kind=EventKind.UPDATED)
    if event.kind is EventKind.DELETED:
        count = services.products.mark_deleted(connection, event.ref, event.at)
        return f"{event.ref} deleted" if count else f"{event.ref}: not known here, or changed later; kept so"
    try:
        products = fetch_products(services, connection, event)
    except NotFound:
        was_known = services.products.mark_deleted(connection, event.ref, event.at)
        return f"{event.ref}: gone from its source" if was_known else f"{event.ref}: not found at its source"
    services.products.mark_deleted(connection, event.ref, event.at, keep_skus=[p.sku for p in products])
    ingest = ingest_row if services.pim(connection).capabilities.keeps_pictures else ingest_product
    results = [
        ingest(services, product, connection=connection, ref=event.ref, source_time=event.at, **more)
        for product in products
    ]
    return "; ".join(result.summary for result in results) or f"{event.ref}: has no SKU"


def fetch_products(services: Services, connection: str, event: Event) -> list[Product]:
    """Return an event's products as they are now, or as the event has them if the PIM cannot be asked.

    Raises:
        NotFound: the PIM has no such product.
        Refused, Unsupported, BadOutput: the product cannot be fetched; do not retry.
        Unavailable, RateLimited: retry later.
    """
    source = services.pim(connection)
    if source.capabilities.can_fetch or (event.product is None and source.capabilities.can_list_changes):
        return source.fetch(event.ref)
    if event.product is None:
        raise BadOutput(
            connection, "normalize", "the event carries no product, and this PIM cannot be asked for it"
        )
    return [event.product]


def add_product(
    services: Services,
    product: Product,
    *,
    by: str,
    record: Callable[[IntakeResult], object] = lambda _: None,
) -> IntakeResult:
    """Take in a product that a person added by hand or through the API; `record` as in `ingest_product`.

    Raises:
        StorageUnavailable: there is less free disk than the reserve, or the database does not answer.
    """
    services.disk.require()

    def add_to_history(result: IntakeResult) -> None:
        services.history.add("product_added", sku=product.sku, by=by, detail=result.summary)
        record(result)

    return ingest_product(
        services,
        product,
        connection="",
        ref=product.sku,
        source_time=services.clock.now(),
        record=add_to_history,
    )


def edit_product(
    services: Services,
    stored: ProductRecord,
    product: Product,
    *,
    by: str,
    record: Callable[[IntakeResult], object] = lambda _: None,
) -> IntakeResult:
    """Take in a person's changes of a product. A later change in its PIM replaces them.

    Args:
        stored: the product as it is stored.
        product: the product with the changes.
        by: who changed it.
        record: as in `ingest_product`.

    Raises:
        StorageUnavailable: there is less free disk than the reserve, or the database does not answer.
    """
    services.disk.require()
    before, after = to_plain(stored.product), to_plain(product)
    changed = [name for name in after if after[name] != before.get(name)]

    def add_to_history(result: IntakeResult) -> None:
        services.history.add("edited", sku=product.sku, by=by, detail=", ".join(changed) or "nothing")
        record(result)

    return ingest_product(
        services,
        product,
        connection=stored.connection,
        ref=stored.ref,
        keep=Keep.NONE,
        source_time=max(services.clock.now(), stored.source_time),
        record=add_to_history,
    )
