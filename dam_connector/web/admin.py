"""The pages for admins: runs, deliveries, spend, rules, connections and where they drifted apart."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.errors import AdapterError, ConfigError
from dam_connector.store.users import UserRole
from dam_connector.usecases import intake, reconciliation
from dam_connector.usecases.broker import PAUSED
from dam_connector.usecases.connections import PORTS
from dam_connector.usecases.provider_orders import budget
from dam_connector.web import formatting
from dam_connector.web.request_context import PAGE_SIZE, requires, services

bp = Blueprint("admin", __name__)
PORT_PURPOSES = {
    "pim": "Where products come from",
    "dam": "Where assets lie and are reviewed",
    "channel": "Where they go live",
    "provider": "Who generates",
}
WEBHOOK_PORTS = ("pim", "dam", "provider")  # that may send webhooks


@bp.get("/runs")
@requires(UserRole.VIEWER)
def runs() -> ResponseReturnValue:
    state = request.args.get("state", "")
    found = services().runs.page(state=state, before=request.args.get("cursor", ""), limit=PAGE_SIZE)
    ids = {r.sku: record.id for r in found if (record := services().products.get(r.sku))}
    return render_template(
        "runs.html",
        runs=found,
        state=state,
        by_state=services().runs.counts(),
        product_ids=ids,
        next=found[-1].id if len(found) == PAGE_SIZE else None,
    )


@bp.post("/runs/<run_id>/retry")
@requires(UserRole.MERCHANDISER)
def retry(run_id: str) -> ResponseReturnValue:
    if intake.retry(services(), services().runs.get(run_id) or abort(404)):
        flash("Trying again.", "info")
    else:
        flash("Only failed and cancelled runs are retried.", "error")
    return redirect(url_for("admin.runs", state=request.form.get("state", "")))


@bp.get("/deliveries")
@requires(UserRole.VIEWER)
def deliveries() -> ResponseReturnValue:
    state = request.args.get("state", "")
    found = services().inbox.page(state=state, before=request.args.get("cursor", ""), limit=PAGE_SIZE)
    return render_template(
        "deliveries.html",
        deliveries=found,
        state=state,
        by_state=services().inbox.counts(),
        next=found[-1].id if len(found) == PAGE_SIZE else None,
    )


@bp.get("/deliveries/<delivery_id>")
@requires(UserRole.VIEWER)
def delivery(delivery_id: str) -> ResponseReturnValue:
    found = services().inbox.get(delivery_id) or abort(404)
    return render_template("delivery.html", d=found, body=formatting.pretty_body(found.inbound.body))


@bp.post("/deliveries/<delivery_id>/replay")
@requires(UserRole.MERCHANDISER)
def replay(delivery_id: str) -> ResponseReturnValue:
    intake.replay(services(), delivery_id)
    flash("The delivery is being handled once more.", "info")
    return redirect(url_for("admin.delivery", delivery_id=delivery_id))


@bp.get("/spend")
@requires(UserRole.MERCHANDISER)
def spend() -> ResponseReturnValue:
    """What providers cost, and how much of their caps is used."""
    s = services()
    tables = [(by, s.spend.totals_by(by)) for by in ("batch", "category", "deliverable")]
    return render_template(
        "spend.html",
        budgets={name: budget(s, name) for name in s.rules.current().provider},
        unknown=s.spend.tasks_in_state("unknown"),
        waiting=s.spend.tasks_in_state("waiting"),
        paused={name: s.notes.get(PAUSED + name) for name in s.rules.current().provider},
        tables=tables,
        labels={b.id: b.name for b in s.batches.page(limit=200)},
    )


@bp.get("/rules")
@requires(UserRole.VIEWER)
def rules() -> ResponseReturnValue:
    current = services().rules.current()
    return render_template(
        "rules.html",
        rules=current,
        problem=services().rules.problem,
        text=services().rules_archive.get(current.fingerprint) or "",
    )


@bp.get("/connections")
@requires(UserRole.VIEWER)
def connections() -> ResponseReturnValue:
    s = services()
    rules = s.rules.current()
    at, count, found = reconciliation.kept(s)
    return render_template(
        "connections.html",
        ports={port: getattr(rules, port) for port in PORTS},
        words=PORT_PURPOSES,
        senders=WEBHOOK_PORTS,
        public=s.settings.public,
        at=at,
        count=count,
        found=found,
        every=rules.reconcile.every_hours,
    )


@bp.post("/connections/mend")
@requires(UserRole.ADMIN)
def repair() -> ResponseReturnValue:
    """Put one finding of the last comparison right."""
    s = services()
    _, _, found = reconciliation.kept(s)
    wanted = (request.form.get("where"), request.form.get("ref"), request.form.get("kind"))
    drift = next((d for d in found if (d.where, d.ref, d.kind.value) == wanted), None)
    if drift is None:
        flash("It is not among what was found last.", "error")
        return redirect(url_for("admin.connections"))
    try:
        flash(reconciliation.mend(s, drift), "info")
        reconciliation.keep(s, [d for d in found if d != drift])
    except (AdapterError, ConfigError) as error:
        flash(f"Not mended: {error}", "error")
    return redirect(url_for("admin.connections"))
