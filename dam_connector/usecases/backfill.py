"""Backfill of a PIM's catalog, and polling of PIMs for changes whose webhooks were lost.

The PIM lists the products that changed since a moment. Each one is taken in like an event. A backfill stores
how far it came, so that it can be stopped and continued.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from dam_connector.domain.event import Event
from dam_connector.errors import RETRYABLE, AdapterError, ConfigError, RateLimited, Unavailable
from dam_connector.usecases.estimates import estimate_seconds
from dam_connector.usecases.intake import ingest_event
from dam_connector.wiring import Services

log = structlog.get_logger()
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
POLL_OVERLAP = timedelta(minutes=2)  # of two polls: clocks differ, and lists lag
MAX_WAIT_S = 300.0
MAX_ATTEMPTS = 6


@dataclass
class BackfillProgress:
    """The progress of a backfill."""

    # Products that the PIM listed.
    seen: int = 0
    # Products taken in.
    added: int = 0
    # Products that could not be fetched or read.
    failed: int = 0
    # The PIM's reference of the last product.
    last_ref: str = ""
    # Estimated seconds until the assets of all products are generated.
    generation_s: float = 0.0


def backfill(
    services: Services,
    connection: str,
    *,
    since: datetime | None = None,
    dry_run: bool = False,
    per_minute: float = 0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[BackfillProgress]:
    """Take in all products that changed in a PIM since a moment; yield the progress after each one.

    Their runs wait behind those of single products. A product that cannot be fetched or read is counted and
    skipped.

    Args:
        connection: the PIM's name in plugin.json.
        since: the moment; None: where the last backfill was stopped, or else all products.
        dry_run: only list the products.
        per_minute: the most products in a minute; 0: as many as the PIM allows.
        sleep: replaced by tests.

    Raises:
        ConfigError: there is no such connection.
        Refused, Unsupported: the PIM lists no changes.
        Unavailable, RateLimited: the PIM stayed away through all tries.
    """
    note = f"backfill:{connection}"
    stopped_at = services.notes.get(note)
    begin = since or (datetime.fromisoformat(stopped_at) if stopped_at else EARLIEST)
    per_product = {d.name: d.count for d in services.rules.current().deliverables}
    product_s = estimate_seconds(services, per_product)
    progress = BackfillProgress()
    for event in services.pim(connection).changed_since(begin):
        progress.seen += 1
        progress.last_ref = event.ref
        progress.generation_s += product_s
        if not dry_run:
            _ingest_with_retries(services, connection, event, progress, sleep)
            services.notes.set(note, event.at.isoformat())
            if per_minute:
                sleep(60 / per_minute)
        yield progress
    if not dry_run:
        services.notes.set(note, None)


def _ingest_with_retries(
    services: Services,
    connection: str,
    event: Event,
    progress: BackfillProgress,
    sleep: Callable[[float], None],
) -> None:
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            ingest_event(services, connection, event, last_try=attempt == MAX_ATTEMPTS, bulk=True)
            progress.added += 1
            return
        except (RateLimited, Unavailable) as error:
            if attempt == MAX_ATTEMPTS:
                raise
            sleep(min(MAX_WAIT_S, error.retry_after_s if isinstance(error, RateLimited) else 2.0**attempt))
        except AdapterError as error:
            log.warning("backfill_skipped", connection=connection, ref=event.ref, error=str(error))
            progress.failed += 1
            return


def poll_pims(services: Services) -> int:
    """Ask each PIM for changes since the last poll; return how many.

    This finds changes with lost webhooks. Changes that arrived by webhook plan no runs again.
    """
    found = 0
    for name in services.rules.current().pim:
        try:
            source = services.pim(name)
            if source.capabilities.can_list_changes:
                found += _poll_pim(services, name)
        except (AdapterError, ConfigError) as error:
            log.warning("pim_poll_failed", pim=name, error=str(error))
    return found


def _poll_pim(services: Services, name: str) -> int:
    """Take in the changes since the last poll; return how many. The first poll only stores its time."""
    note, now = f"pim-cursor:{name}", services.clock.now()
    last_poll, found = services.notes.get(note), 0
    if last_poll:
        for event in services.pim(name).changed_since(datetime.fromisoformat(last_poll) - POLL_OVERLAP):
            try:
                ingest_event(services, name, event)
                found += 1
            except RETRYABLE:  # the PIM or a picture is away: the next poll begins where this one did
                raise
            except AdapterError as error:
                log.warning("poll_skipped", connection=name, ref=event.ref, error=str(error))
    services.notes.set(note, now.isoformat())
    return found
