"""The preview of a batch for a terminal: as text, and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from dam_connector.store.batch_records import RowState
from dam_connector.usecases import batch_preview

SHOWN_FAILED_ROWS = 20
SHOWN_MADE_SKUS = 20
SHOWN_FORECASTS = 20


def preview_lines(preview: batch_preview.BatchPreview) -> list[str]:
    """Return a preview as lines for a terminal."""
    counts = preview.counts
    lines = [
        f"{preview.total} rows: {counts[RowState.WAITING]} good, {counts[RowState.FAILED]} bad, "
        f"{counts[RowState.MAKES_NOTHING]} that make nothing, {counts[RowState.UNCHANGED]} unchanged"
    ]
    lines += [f"  {name}: {count} to make" for name, count in preview.version_counts.items()]
    if preview.version_counts:
        bills = ", ".join(f"{count} billed by {name}" for name, count in preview.billed_counts.items())
        bills = (
            f"{bills}: about ${preview.cost_usd:.2f}"
            if bills
            else "no cost: the connector makes everything itself"
        )
        lines += [f"  about {max(1, round(preview.generation_s / 60))} min; {bills}"]
    lines += [
        f"  {name}: {count} not made, since the rules leave no generator"
        for name, count in preview.not_made_counts.items()
    ]
    lines += _forecast_lines(preview)
    if preview.unchecked_rows:
        lines += [f"  the pictures of {preview.unchecked_rows} rows are checked when the rows are made"]
    lines += _loss_lines(preview)
    lines += [f"  note: {note}" for note in preview.notes]
    if preview.makes_skus:
        good = preview.rows.get(RowState.WAITING, [])[:SHOWN_MADE_SKUS]
        lines += [f"  row {row.line}: the SKU is {row.sku}" for row in good]
    lines += [
        f"  row {row.line} {row.sku or '(no SKU)'}: {row.error}"
        for state in (RowState.FAILED, RowState.MAKES_NOTHING)
        for row in preview.rows.get(state, [])[:SHOWN_FAILED_ROWS]
    ]
    return lines


def _loss_lines(preview: batch_preview.BatchPreview) -> Iterator[str]:
    """Yield the pictures that go away, by row."""
    for row in preview.losses:
        yield f"  row {row.line} {row.sku}: {'; '.join(row.gone)}"
    if more := preview.losing_rows - len(preview.losses):
        yield f"  {more} more rows remove or replace pictures"


def _forecast_lines(preview: batch_preview.BatchPreview) -> Iterator[str]:
    """Yield the forecasts of our own models: how many of each, and the rows whose model needs more."""
    counts = [f"{count} {verdict}" for verdict, count in preview.forecast_counts.items() if count]
    if counts:
        yield f"  forecast of our own models: {', '.join(counts)}"
    good = [row for row in preview.rows.get(RowState.WAITING, []) if row.line in preview.forecasts]
    doubtful = [row for row in good if preview.forecasts[row.line].remedy]
    for row in doubtful[:SHOWN_FORECASTS]:
        forecast = preview.forecasts[row.line]
        yield f"  row {row.line} {row.sku}: {forecast.probability:.2f}, {forecast.reason}; {forecast.remedy}"


def preview_facts(preview: batch_preview.BatchPreview) -> dict[str, Any]:
    """Return a preview as the JSON that `import --json` prints."""
    return {
        "rows": {s.value: n for s, n in preview.counts.items()},
        "makes": preview.version_counts,
        "not_made": preview.not_made_counts,
        "forecasts": preview.forecast_counts,
        "forecast_rows": [
            {"row": row.line, "sku": row.sku, **asdict(preview.forecasts[row.line])}
            for row in preview.rows.get(RowState.WAITING, [])
            if row.line in preview.forecasts
        ],
        "pictures_gone": [
            {"row": row.line, "sku": row.sku, "pictures": list(row.gone)} for row in preview.losses
        ],
        "rows_with_pictures_gone": preview.losing_rows,
        "notes": list(preview.notes),
        "check": preview.check,
        "columns": dict(preview.mapping),
        "failed": [
            {"row": row.line, "sku": row.sku, "error": row.error, "codes": list(row.codes)}
            for row in preview.rows.get(RowState.FAILED, [])
        ],
        "makes_nothing": [
            {"row": row.line, "sku": row.sku, "reason": row.error}
            for row in preview.rows.get(RowState.MAKES_NOTHING, [])
        ],
    }
