"""Backfilling: what a source has that we were not told of: the whole catalog once, and what its webhooks lost.

The sources list what changed since a moment; each product is fetched and taken in like an event's. How far it came is noted, so that it can be stopped
and goes on from there.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from dam_connector.domain.event import Event
from dam_connector.errors import AdapterError, ConfigError, RateLimited, Unavailable
from dam_connector.usecases.batch_preview import estimate_seconds
from dam_connector.usecases.intake import ingest_event
from dam_connector.wiring import Services

log = structlog.get_logger()
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
POLL_OVERLAP = timedelta(minutes=2)  # between two polls: clocks differ, and lists lag
MAX_WAIT_S = 300.0
MAX_ATTEMPTS = 6


@dataclass
class BackfillProgress:
    """What a backfill did so far. last: the reference that it is at. seconds: that making all of it will take, as far as is known."""

    seen: int = 0
    added: int = 0
    failed: int = 0
    last_ref: str = ""
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
    """Take in everything that a source says was changed since then, by default since the last backfill was stopped, or ever; tells after each product.

    What it asks for is made in the lane of batches, behind single products. per_minute: products at most; as fast as the source allows, when 0.
    A product that cannot be fetched or read is counted, and leaves the others. Raises: ConfigError, Unsupported, Refused; Unavailable after some tries.
    """
    name = f"backfill:{connection}"
    noted = services.notes.get(name)
    begin = since or (datetime.fromisoformat(noted) if noted else EARLIEST)
    progress, each_s = (
        BackfillProgress(),
        estimate_seconds(services, {d.name: d.count for d in services.rules.current().deliverables}),
    )
    for event in services.pim(connection).changed_since(begin):
        progress.seen, progress.last_ref, progress.generation_s = (
            progress.seen + 1,
            event.ref,
            progress.generation_s + each_s,
        )
        if not dry_run:
            _take(services, connection, event, progress, sleep)
            services.notes.set(name, event.at.isoformat())
            if per_minute:
                sleep(60 / per_minute)
        yield progress
    if not dry_run:
        services.notes.set(name, None)


def _take(
    services: Services,
    connection: str,
    event: Event,
    progress: BackfillProgress,
    sleep: Callable[[float], None],
) -> None:
    for tried in range(1, MAX_ATTEMPTS + 1):
        try:
            ingest_event(services, connection, event, last_try=tried == MAX_ATTEMPTS, bulk=True)
            progress.added += 1
            return
        except (RateLimited, Unavailable) as error:
            if tried == MAX_ATTEMPTS:
                raise
            sleep(min(MAX_WAIT_S, error.retry_after_s if isinstance(error, RateLimited) else 2.0**tried))
        except AdapterError as error:
            log.warning("backfill_skipped", connection=connection, ref=event.ref, error=str(error))
            progress.failed += 1
            return


def poll_pims(services: Services) -> int:
    """How many changes were found by asking each source: what its webhooks lost arrives here. What came by webhook already makes nothing again."""
    found = 0
    for name in services.rules.current().pim:
        try:
            source = services.pim(name)
            if source.capabilities.can_list_changes:
                found += _poll(services, name)
        except (AdapterError, ConfigError) as error:
            log.warning("pim_poll_failed", pim=name, error=str(error))
    return found


def _poll(services: Services, name: str) -> int:
    """The changes since the last poll; the first one only notes when it was."""
    cursor_name, now = f"pim-cursor:{name}", services.clock.now()
    cursor, found = services.notes.get(cursor_name), 0
    if cursor:
        for event in services.pim(name).changed_since(datetime.fromisoformat(cursor) - POLL_OVERLAP):
            ingest_event(services, name, event)
            found += 1
    services.notes.set(cursor_name, now.isoformat())
    return found
