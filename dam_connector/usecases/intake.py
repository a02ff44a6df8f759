"""Intake: from a webhook to planned runs.

`receive` is all that happens while the sender waits; `handle` is the job behind it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from dam_connector.domain.codec import to_plain
from dam_connector.domain.completeness import product_issues
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.ids import DeliveryId, Sha256
from dam_connector.domain.issue import Severity
from dam_connector.domain.planning import planned_runs
from dam_connector.domain.product import INSPIRATION, Product
from dam_connector.domain.rules import PHOTO
from dam_connector.domain.run import job_name
from dam_connector.domain.version import VersionFile
from dam_connector.errors import RETRYABLE, AdapterError, BadOutput, ConfigError, DeliveryError, NotFound
from dam_connector.ports import Dam, InboundWebhook, Pim, Provider
from dam_connector.store.inbox import MAX_ATTEMPTS, DeliveryRecord
from dam_connector.store.products import ProductRecord
from dam_connector.store.runs import NewRun, RunRecord
from dam_connector.usecases.dam_sync.inbound import sync_from_dam
from dam_connector.usecases.provider_orders import poll_task_now
from dam_connector.usecases.source_images import store_source_images
from dam_connector.wiring import Services

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """What became of a product that was taken in: a few words, and how many runs were planned."""

    summary: str
    planned: int


def receive_webhook(services: Services, connection: str, inbound: InboundWebhook) -> tuple[DeliveryId, bool]:
    """The id under which a delivery is stored, and whether it is new.

    Raises: DeliveryError 404 (no such connection), 401, 400.
    """
    source = _source(services, connection)
    verified = source.verify(inbound)
    delivery_id, new = services.inbox.add(
        connection, verified.key, inbound, needs_handling=verified.is_event, extra_headers=verified.headers_to_store
    )
    if new and verified.is_event:
        services.queue.wake("handle_delivery", [delivery_id])
    return delivery_id, new


def _source(services: Services, connection: str) -> Pim | Dam | Provider:
    rules = services.rules.current()
    if connection in rules.provider:
        return services.provider(connection)
    if connection in rules.dam:
        return services.dam(connection)
    if connection not in rules.pim:
        raise DeliveryError(404, "there is no such connection; see /connections in plugin.json")
    return services.pim(connection)


def handle_delivery(services: Services, delivery_id: str) -> None:
    """Do what a stored delivery means. Doing it twice changes nothing."""
    record = services.inbox.get(delivery_id)
    if record is None or record.state != "received":
        return
    try:
        summary = _meaning(services, record)
        services.inbox.finish(delivery_id, "handled", summary=summary)
    except RETRYABLE as error:
        again = services.inbox.retry_later(delivery_id, str(error))
        log.warning("delivery_put_off" if again else "delivery_failed", error=str(error))
    except (AdapterError, ConfigError) as error:
        services.inbox.finish(delivery_id, "failed", error=str(error))
        log.warning("delivery_failed", error=str(error))


def _meaning(services: Services, record: DeliveryRecord) -> str:
    """Do what a delivery means; gives a few words about it."""
    rules = services.rules.current()
    if record.connection in rules.provider:
        return poll_task_now(
            services, record.connection, services.provider(record.connection).parse_webhook(record.inbound)
        )
    if record.connection in rules.dam:
        refs = services.dam(record.connection).parse_webhook(record.inbound)
        return "; ".join(sync_from_dam(services, record.connection, ref) for ref in refs) or "nothing of ours"
    last_try = record.attempts + 1 >= MAX_ATTEMPTS
    events = services.pim(record.connection).normalize(record.inbound)
    return "; ".join(ingest_event(services, record.connection, event, last_try=last_try) for event in events)


def ingest_event(
    services: Services, connection: str, event: Event, *, last_try: bool = True, bulk: bool = False
) -> str:
    """Carry out what a source says of a product; gives a few words about it. bulk: it is one of many, and waits in their lane.

    Raises: as `Pim.fetch`; Unavailable or RateLimited when a picture's server is away, unless it is the last try.
    """
    if event.kind is EventKind.DELETED:
        services.products.mark_deleted(connection, event.ref, event.at)
        return f"{event.ref} deleted"
    try:
        products = _newest(services, connection, event)
    except NotFound:
        gone = services.products.mark_deleted(connection, event.ref, event.at)
        return f"{event.ref}: gone from its source" if gone else f"{event.ref}: not there"
    services.products.mark_deleted(connection, event.ref, event.at, keep_skus=[p.sku for p in products])
    taken = [
        ingest_product(
            services,
            p,
            connection=connection,
            ref=event.ref,
            source_time=event.at,
            last_try=last_try,
            bulk=bulk,
        )
        for p in products
    ]
    return "; ".join(each.summary for each in taken) or f"{event.ref}: has no SKU"


def _newest(services: Services, connection: str, event: Event) -> list[Product]:
    """The products as the source has them now; where it cannot be asked, as the event carried them."""
    source = services.pim(connection)
    if source.capabilities.can_fetch:
        return source.fetch(event.ref)
    if event.product is None:
        raise BadOutput(
            connection, "normalize", "the event carries no product and the source cannot be asked"
        )
    return [event.product]


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
) -> IntakeResult:
    """Store the newest word on a product, fetch its pictures and plan its runs. batch_id: of the batch that asks for it.

    Raises: Unavailable or RateLimited when a picture's server is away, unless it is the last try.
    """
    if not services.products.upsert(product, connection=connection, ref=ref, source_time=source_time):
        return IntakeResult(f"{product.sku}: older than what is known", 0)
    issues = list(product_issues(product, services.rules.current().products))
    incomplete = any(i.severity is Severity.ERROR for i in issues)
    sources, unusable = store_source_images(services, product, last_try=last_try)
    issues += unusable
    services.products.set_findings(product.sku, sources, tuple(issues))
    added = (
        plan_runs(services, product, sources, batch_id=batch_id, bulk=bulk)
        if set(sources) - {INSPIRATION} and not incomplete
        else 0
    )
    newest = services.products.get(product.sku)
    if (
        newest and newest.source_time > source_time
    ):  # newer facts came while the pictures were fetched: theirs is the last word
        return ingest_product(
            services,
            newest.product,
            connection=newest.connection,
            ref=newest.ref,
            source_time=newest.source_time,
            last_try=last_try,
            batch_id=batch_id,
            bulk=bulk,
        )
    return IntakeResult(
        f"{product.sku}: flagged"
        if incomplete
        else f"{product.sku}: {added} {'run' if added == 1 else 'runs'} planned",
        added,
    )


def plan_runs(
    services: Services,
    product: Product,
    sources: Mapping[str, Sha256],
    *,
    made_from: str = "",
    batch_id: str = "",
    bulk: bool = False,
) -> int:
    """How many runs this product needed that were not planned before; they are woken. made_from: only those rendered from this model."""
    bulk = bulk or bool(batch_id)
    rules = services.rules.current()
    models = {
        d.made_from: glb.sha256
        for d in rules.deliverables
        if (glb := _current_glb(services, product.sku, d.made_from))
    }
    wanted = [
        NewRun(
            kind=p.deliverable.kind,
            sku=product.sku,
            deliverable=p.deliverable.name,
            slot=p.slot,
            input_hash=p.input_hash,
            rules_fingerprint=rules.fingerprint,
            bulk=bulk,
            batch_id=batch_id,
        )
        for p in planned_runs(product, sources, models, rules)
        if not made_from or p.deliverable.made_from == made_from
    ]
    added = services.runs.add(wanted)
    services.queue.wake("advance_bulk_run" if bulk else "advance_run", added)
    return len(added)


def _current_glb(services: Services, sku: str, deliverable: str) -> VersionFile | None:
    version = services.assets.current(sku, deliverable) if deliverable != PHOTO else None
    return version.file("glb") if version else None


def add_product(services: Services, product: Product, *, by: str) -> IntakeResult:
    """Take a product that a person gave us by hand or through the API."""
    said = ingest_product(services, product, connection="", ref=product.sku, source_time=services.clock.now())
    services.history.add("product_added", sku=product.sku, by=by, detail=said.summary)
    return said


def edit_product(services: Services, record: ProductRecord, product: Product, *, by: str) -> IntakeResult:
    """Take a person's word on a product; what it changes is made again as next versions. A later word of its PIM counts more."""
    was, now = to_plain(record.product), to_plain(product)
    changed = [name for name in now if now[name] != was.get(name)]
    at = max(services.clock.now(), record.source_time)
    said = ingest_product(services, product, connection=record.connection, ref=record.ref, source_time=at)
    services.history.add("edited", sku=product.sku, by=by, detail=", ".join(changed) or "nothing")
    return said


def rerun_product(services: Services, sku: str, *, batch_id: str = "") -> int:
    """Plan what is missing for a product, and retry what failed; gives how many runs are under way for it.

    Raises: NotFound when there is no such product.
    """
    record = services.products.get(sku)
    if record is None or record.deleted:
        raise NotFound("catalog", "run", f"there is no product {sku}")
    retried = [r for r in services.runs.page(sku=sku, state="failed", limit=200) if retry_run(services, r)]
    taken = ingest_product(
        services,
        record.product,
        connection=record.connection,
        ref=record.ref,
        source_time=record.source_time,
        batch_id=batch_id,
    )
    return len(retried) + taken.planned


def retry_run(services: Services, run: RunRecord) -> bool:
    """Whether the run was failed or cancelled, and is tried again."""
    again = services.runs.requeue(run.id)
    if again:
        services.queue.wake(job_name(run.kind, bulk=run.bulk), [run.id])
    return again


def replay_delivery(services: Services, delivery_id: str) -> None:
    """Handle a delivery once more. Raises: NotFound."""
    if not services.inbox.reopen(delivery_id):
        raise NotFound("inbox", "replay", f"there is no delivery {delivery_id}")
    services.queue.wake("handle_delivery", [delivery_id])
