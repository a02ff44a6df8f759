"""The progress of a batch, for its page: counts, pace, failed rows and the newest versions."""

from datetime import timedelta
from itertools import islice
from typing import Any

from dam_connector.domain.version import VersionState
from dam_connector.store.batch_records import Batch, BatchProgress, BatchState, RowState
from dam_connector.store.gallery import GalleryFilter, VersionCard
from dam_connector.usecases import failed_rows
from dam_connector.web.request_context import services

MAX_CARDS = 60  # newest versions on the page of a batch
MAX_FAILED_SHOWN = 20
MAX_COUNTED = 200  # blocked versions
PACE_WINDOW = timedelta(minutes=10)  # the time left is estimated from the versions made in this time
MIN_PACE_S = 30.0  # a pace of a shorter time says nothing


def progress_facts(found: Batch) -> dict[str, Any]:
    """Return the progress, the pace and the first failed rows of a batch, for the templates."""
    s = services()
    progress, pace = s.batches.progress(found.id), _products_per_second(found)
    failed = list(islice(failed_rows.failed_rows(s, found), MAX_FAILED_SHOWN))
    partly = failed_rows.partly_made_rows(s, found)
    return {
        "progress": progress,
        "is_watched": _is_watched(found, progress),
        "failed": failed,
        "partly": partly[:MAX_FAILED_SHOWN],
        "partly_texts": failed_rows.partly_made_texts(s, found, partly[:MAX_FAILED_SHOWN]),
        "partly_count": len(partly),
        "retryable": failed_rows.retryable_rows(s, found),
        "blocked": s.gallery.page_and_count(
            GalleryFilter(batch=found.id, states=(VersionState.BLOCKED,)), limit=1, max_count=MAX_COUNTED
        )[1],
        "product_ids": s.products.ids_by_sku(
            [*(each.row.sku for each in failed), *(row.sku for row in partly[:MAX_FAILED_SHOWN])]
        ),
        "idle_rows": s.batches.rows(found.id, state=RowState.MAKES_NOTHING, limit=MAX_FAILED_SHOWN),
        "pace": pace,
        "left_s": progress.in_progress / pace if pace else None,
    }


def _products_per_second(found: Batch) -> float:
    """Return how fast the products of a batch are made; 0.0 before the first versions.

    Versions that are older than the batch are of rows that were made already.
    """
    now = services().clock.now()
    recent = services().gallery.recent(found.id, max(found.created_at, now - PACE_WINDOW))
    if not recent:
        return 0.0
    seconds = (now - min(at for _, at in recent)).total_seconds()
    return len({sku for sku, _ in recent}) / max(MIN_PACE_S, seconds)


def _is_watched(found: Batch, progress: BatchProgress) -> bool:
    """Return whether the progress of a batch changes by itself: a stopped one finishes its open runs."""
    is_stopped = found.state in (BatchState.PAUSED, BatchState.CANCELLED)
    return bool(progress.generating if is_stopped else progress.in_progress)


def newest_cards(found: Batch) -> list[VersionCard]:
    """Return the versions that were made last for a batch, newest first."""
    return services().gallery.page(GalleryFilter(batch=found.id), limit=MAX_CARDS)


def names(cards: list[VersionCard]) -> dict[str, str]:
    """Return the names of the products of some versions, by SKU."""
    return services().products.names({card.asset.sku for card in cards})
