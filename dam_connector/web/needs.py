"""The start page of admins: everything that waits for a person, by cause, each with its remedy."""

from collections import Counter
from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain.issue import Issue, Severity
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.net_file import missing_net_here
from dam_connector.store.batch_records import Batch
from dam_connector.store.users import UserRole
from dam_connector.usecases import reconciliation, retries
from dam_connector.usecases.broker.submission import PAUSE_NOTE_PREFIX
from dam_connector.web.request_context import requires, services, signed_in_user

bp = Blueprint("needs", __name__)
MAX_GROUPED = 200  # newest flagged products that are grouped by their errors
MAX_CAUSES = 6  # shown of each kind
MAX_BATCHES = 30  # newest batches whose failed rows are looked for
BATCH_DAYS = 7  # older batches need nobody: their rows were corrected in another sheet, or given up


@bp.get("/needs")
@requires(UserRole.ADMIN)
def index() -> ResponseReturnValue:
    """Show all that failed or waits for a person, grouped by cause."""
    s = services()
    failures = retries.open_failures(s)
    _, differences, _ = reconciliation.last_result(s)
    return render_template(
        "needs.html",
        causes=failures.by_cause[:MAX_CAUSES],
        deliveries=retries.delivery_causes(s)[:MAX_CAUSES],
        flagged=_flagged_by_code(),
        failed_batches=_batches_with_failed_rows(),
        batch_days=BATCH_DAYS,
        failed_runs=failures.of_products,
        differences=differences,
        problem=s.rules.problem,
        missing_net=missing_net_here(s.rules.pending or s.rules.current(), s.settings),
        pending=s.rules.pending,
        shortage=s.disk.shortage(),
        paused={
            name: why for name in s.rules.current().provider if (why := s.notes.get(PAUSE_NOTE_PREFIX + name))
        },
        oldest=next(iter(s.assets.page(state="in_review", limit=1, oldest_first=True)), None),
    )


def _flagged_by_code() -> list[tuple[Issue, int, str]]:
    """Return an example of each error of flagged products, how many have it, and the id of one of them."""
    examples: dict[IssueCode, tuple[Issue, str]] = {}
    counts: Counter[IssueCode] = Counter()
    for record in services().products.page(flagged=True, limit=MAX_GROUPED):
        for found in record.issues:
            if found.severity is Severity.ERROR:
                examples.setdefault(found.code, (found, record.id))
        counts.update({i.code for i in record.issues if i.severity is Severity.ERROR})
    return [(examples[code][0], count, examples[code][1]) for code, count in counts.most_common(MAX_CAUSES)]


def _batches_with_failed_rows() -> list[tuple[Batch, int]]:
    """Return the batches of the last days with failed rows, the newest first, and how many they have."""
    s = services()
    since = s.clock.now() - timedelta(days=BATCH_DAYS)
    recent = [batch for batch in s.batches.page(limit=MAX_BATCHES) if batch.created_at >= since]
    progress = s.batches.counts.progress([batch.id for batch in recent])
    return [(batch, n) for batch in recent if (n := progress[batch.id].failed)][:MAX_CAUSES]


@bp.post("/connections/compare")
@requires(UserRole.ADMIN)
def compare_connections() -> ResponseReturnValue:
    """Let PIMs, DAMs and channels be compared with the records here soon."""
    reconciliation.request_reconciliation(services(), by=signed_in_user().name)
    flash("The connections are being compared; the differences appear here.", "info")
    return redirect(url_for("admin.connections"))
