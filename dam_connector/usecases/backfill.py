"""Backfill of a PIM's catalog, and polling of PIMs for changes whose webhooks were lost.

The PIM lists the products that changed since a moment. Each one is taken in like an event. A backfill stores
how far it came, so that it can be stopped and continued.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from dam_connector.domain.adoption import Adoptable
from dam_connector.domain.event import Event
from dam_connector.errors import (
    RETRYABLE,
    AdapterError,
    BadOutput,
    ConfigError,
    NotFound,
    RateLimited,
    Refused,
    StorageUnavailable,
    Unavailable,
    Unsupported,
)
from dam_connector.usecases.adoption import FoundFiles, adoptable, find_finished, with_checks
from dam_connector.usecases.estimates import estimate_seconds
from dam_connector.usecases.intake import fetch_products, ingest_event
from dam_connector.usecases.product_intake import IntakeResult
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
    # First versions that were adopted, or with `dry_run` would be.
    adopted: int = 0
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
    adopt: bool = False,
    show: Callable[[Adoptable], object] = lambda _: None,
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
        adopt: finished files become first versions by the section `adopt` of plugin.json.
        show: is called with each finished file of the products, before it is adopted.
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
    progress, finished = BackfillProgress(), find_finished(services) if adopt else None
    for event in services.pim(connection).changed_since(begin):
        progress.seen += 1
        progress.last_ref = event.ref
        progress.generation_s += product_s
        if finished is not None:
            _show_adoptable(services, connection, event, finished, progress if dry_run else None, show)
        if not dry_run:
            _ingest_with_retries(services, connection, event, progress, sleep, finished)
            services.notes.set(note, event.at.isoformat())
            if per_minute:
                sleep(60 / per_minute)
        yield progress
    if not dry_run:
        services.notes.set(note, None)


def _show_adoptable(
    services: Services,
    connection: str,
    event: Event,
    finished: FoundFiles,
    count_in: BackfillProgress | None,
    show: Callable[[Adoptable], object],
) -> None:
    """Show the finished files of an event's products; of products that cannot be read none."""
    try:
        products = fetch_products(services, connection, event)
    except (NotFound, Refused, BadOutput, Unsupported):
        return
    for product in products:
        for file in with_checks(services, list(adoptable(services, product, finished))):
            show(file)
            if count_in and not file.problem:
                count_in.adopted += 1


def _ingest_with_retries(
    services: Services,
    connection: str,
    event: Event,
    progress: BackfillProgress,
    sleep: Callable[[float], None],
    finished: FoundFiles | None,
) -> None:
    def count(result: IntakeResult) -> None:
        progress.adopted += result.adopted

    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            last_try = attempt == MAX_ATTEMPTS
            more: dict[str, Any] = {"bulk": True, "finished": finished, "record": count}
            ingest_event(services, connection, event, last_try=last_try, **more)
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
    note, now, source = f"pim-cursor:{name}", services.clock.now(), services.pim(name)
    last_poll, found = services.notes.get(note), 0
    tries_note = f"pim-tries:{name}"
    tries = services.notes.get(tries_note) or 0
    # A row of a sheet waits for its pictures during some polls, and holds up no other one.
    waits, has_waited = source.capabilities.keeps_pictures and tries < MAX_ATTEMPTS, False
    for event in source.changed_since(datetime.fromisoformat(last_poll) - POLL_OVERLAP) if last_poll else ():
        try:
            ingest_event(services, name, event, last_try=not waits)
            found += 1
        except RETRYABLE as error:
            if not waits or isinstance(error, StorageUnavailable):
                raise  # the PIM or our storage is away: the next poll begins where this one did
            log.warning("poll_put_off", connection=name, ref=event.ref, error=str(error))
            has_waited = True
        except AdapterError as error:
            log.warning("poll_skipped", connection=name, ref=event.ref, error=str(error))
    if tries or has_waited:
        services.notes.set(tries_note, tries + 1 if has_waited else 0)
    if not has_waited:
        services.notes.set(note, now.isoformat())
    return found
