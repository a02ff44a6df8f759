"""The pages for admins: runs, deliveries, spend, rules, and connections with their differences."""

from contextlib import suppress
from datetime import timedelta

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain.failure_cause import failure_cause
from dam_connector.domain.rules import Rules
from dam_connector.domain.rules_effect import RulesEffect, effect_lines
from dam_connector.domain.run import RunState
from dam_connector.errors import AdapterError, ConfigError, NotFound, StateConflict
from dam_connector.store.run_queries import MAX_CAUSE
from dam_connector.store.run_records import RunRecord
from dam_connector.store.users import UserRole
from dam_connector.usecases import connection_tests, reconciliation, retries, rules_change, rules_check
from dam_connector.usecases.broker.submission import PAUSE_NOTE_PREFIX
from dam_connector.usecases.connections import PORTS, WEBHOOK_PORTS, last_deliveries
from dam_connector.usecases.provider_orders import budgets
from dam_connector.web import formatting
from dam_connector.web.help_pages import documents
from dam_connector.web.record_links import RecordLinks
from dam_connector.web.request_context import PAGE_SIZE, requires, services, signed_in_user

bp = Blueprint("admin", __name__)
RUNS_WITHIN = timedelta(days=1)  # after a delivery, runs are looked for on its page
PORT_PURPOSES = {
    "pim": "Source of products",
    "dam": "Storage and review of assets",
    "channel": "Publication of assets",
    "provider": "Generation of pictures and models",
}


@bp.get("/runs")
@requires(UserRole.VIEWER)
def runs() -> ResponseReturnValue:
    """Show the runs, newest first; with `cause`, those that failed by it."""
    state, cause = request.args.get("state", ""), request.args.get("cause", "")[:MAX_CAUSE]
    found = services().runs.page(
        state=state, cause=cause, before=request.args.get("cursor", ""), limit=PAGE_SIZE
    )
    ids = services().products.ids_by_sku({r.sku for r in found})
    return render_template(
        "runs.html",
        runs=found,
        state=state,
        by_state=services().runs.counts(),
        product_ids=ids,
        is_filtered=bool(cause),
        groups=_failed_groups(found, cause) if state == RunState.FAILED else [],
        retryable={r.id for r in found if _is_retryable(r)},
        next=found[-1].id if len(found) == PAGE_SIZE else None,
    )


def _is_retryable(run: RunRecord) -> bool:
    is_over = run.state in (RunState.FAILED, RunState.CANCELLED)
    return is_over and retries.can_retry_help(services(), run)


def _failed_groups(page: list[RunRecord], cause: str) -> list[tuple[retries.FailureGroup, list[RunRecord]]]:
    """Return the groups of failed runs, each with those of its runs that are on the page.

    Runs that are older than those counted come last, with the count of the page. With a cause, there is only
    its own group.
    """
    causes = {failure_cause(group.cause).group: group for group in retries.failure_causes(services())}
    own: dict[str, list[RunRecord]] = {key: [] for key in causes if not cause}
    for run in page:
        own.setdefault(failure_cause(run.error).group, []).append(run)
    return [(causes.get(key) or retries.failure_group(services(), runs), runs) for key, runs in own.items()]


@bp.post("/runs/retry")
@requires(UserRole.MERCHANDISER)
def retry_cause() -> ResponseReturnValue:
    """Retry the newest failed runs with one cause."""
    cause = request.form.get("cause", "")
    done = retries.retry_cause(services(), cause)
    if done:
        flash(f"{done} run{' is' if done == 1 else 's are'} tried again.", "info")
    else:
        flash(
            "No failed run has this cause any more: somebody was faster, or the rules do not ask for it now.",
            "info",
        )
    return redirect(url_for("admin.runs", state=RunState.FAILED))


@bp.post("/runs/<run_id>/retry")
@requires(UserRole.MERCHANDISER)
def retry(run_id: str) -> ResponseReturnValue:
    """Retry a failed or cancelled run."""
    try:
        queued = retries.retry_run(services(), services().runs.get(run_id) or abort(404))
    except StateConflict as error:
        flash(f"Nothing is tried again: {error}.", "error")
        return redirect(url_for("admin.runs", state=request.form.get("state", "")))
    if queued is None:
        flash("The run is being made already. Only failed and cancelled runs can be retried.", "info")
    elif queued.id == run_id:
        flash("The run is tried again.", "info")
    else:
        flash("The rules have changed since. It is made by those in force, from the first step on.", "info")
    return redirect(url_for("admin.runs", state=request.form.get("state", "")))


@bp.post("/runs/dismiss")
@requires(UserRole.MERCHANDISER)
def dismiss_cause() -> ResponseReturnValue:
    """Dismiss the newest failed runs with one cause."""
    done = retries.dismiss_cause(services(), request.form.get("cause", ""), by=signed_in_user().name)
    if done:
        flash(f"{done} failed run{' is' if done == 1 else 's are'} dismissed.", "info")
    else:
        flash("No failed run has this cause any more: somebody was faster.", "info")
    if request.form.get("from") == "needs":
        return redirect(url_for("needs.index"))
    return redirect(url_for("admin.runs", state=RunState.FAILED))


@bp.post("/runs/<run_id>/dismiss")
@requires(UserRole.MERCHANDISER)
def dismiss(run_id: str) -> ResponseReturnValue:
    """Dismiss a failed run: it needs nobody any more."""
    run = services().runs.get(run_id) or abort(404)
    if retries.dismiss_run(services(), run, by=signed_in_user().name):
        flash("The failed run is dismissed.", "info")
    else:
        now = (services().runs.get(run.id) or run).state.value
        flash(f"The run is {now} meanwhile. Only failed runs can be dismissed.", "info")
    return redirect(url_for("admin.runs", state=request.form.get("state", "")))


@bp.get("/deliveries")
@requires(UserRole.VIEWER)
def deliveries() -> ResponseReturnValue:
    """Show the webhook deliveries, newest first."""
    state, connection = request.args.get("state", ""), request.args.get("connection", "")
    cursor = request.args.get("cursor", "")
    found = services().inbox.page(state=state, connection=connection, before=cursor, limit=PAGE_SIZE)
    return render_template(
        "deliveries.html",
        connection=connection,
        deliveries=found,
        links=RecordLinks(services(), [d.summary for d in found]),
        state=state,
        causes=retries.delivery_causes(services(), connection) if state == "failed" else [],
        by_state=services().inbox.counts(connection=connection),
        next=found[-1].id if len(found) == PAGE_SIZE else None,
    )


@bp.post("/deliveries/replay")
@requires(UserRole.MERCHANDISER)
def replay_deliveries() -> ResponseReturnValue:
    """Handle the newest failed deliveries with one cause again."""
    cause, connection = request.form.get("cause", ""), request.form.get("connection", "")
    count = retries.replay_deliveries(services(), cause, connection=connection)
    return _deliveries_were(count, "handled again")


@bp.post("/deliveries/dismiss")
@requires(UserRole.MERCHANDISER)
def dismiss_deliveries() -> ResponseReturnValue:
    """Dismiss the newest failed deliveries with one cause."""
    cause, connection = request.form.get("cause", ""), request.form.get("connection", "")
    by = signed_in_user().name
    count = retries.dismiss_deliveries(services(), cause, by=by, connection=connection)
    return _deliveries_were(count, "dismissed")


def _deliveries_were(count: int, done: str) -> ResponseReturnValue:
    """Return to the page from which deliveries were replayed or dismissed, with their count."""
    if count:
        flash(f"{count} {'delivery is' if count == 1 else 'deliveries are'} {done}.", "info")
    else:
        flash("No failed delivery has this cause any more: somebody was faster.", "info")
    if request.form.get("from") == "needs":
        return redirect(url_for("needs.index"))
    return redirect(
        url_for("admin.deliveries", state="failed", connection=request.form.get("connection") or None)
    )


@bp.get("/deliveries/<delivery_id>")
@requires(UserRole.VIEWER)
def delivery(delivery_id: str) -> ResponseReturnValue:
    """Show one delivery with its headers and body, and the products and runs that it led to."""
    found = services().inbox.get(delivery_id) or abort(404)
    at = found.inbound.received_at
    runs = services().runs.of_origin(found.id, since=at, until=at + RUNS_WITHIN, limit=PAGE_SIZE)
    links = RecordLinks(services(), [found.summary, found.error, *(run.sku for run in runs)])
    return render_template(
        "delivery.html", d=found, body=formatting.pretty_body(found.inbound.body), runs=runs, links=links
    )


@bp.post("/deliveries/<delivery_id>/replay")
@requires(UserRole.MERCHANDISER)
def replay(delivery_id: str) -> ResponseReturnValue:
    """Handle a delivery again."""
    retries.replay_delivery(services(), delivery_id)
    flash("The delivery is handled again.", "info")
    return redirect(url_for("admin.delivery", delivery_id=delivery_id))


@bp.post("/deliveries/<delivery_id>/dismiss")
@requires(UserRole.MERCHANDISER)
def dismiss_delivery(delivery_id: str) -> ResponseReturnValue:
    """Ignore a failed delivery: it needs nobody any more."""
    found = services().inbox.get(delivery_id) or abort(404)
    if retries.dismiss_delivery(services(), found, by=signed_in_user().name):
        flash("The delivery is dismissed.", "info")
    else:
        now = (services().inbox.get(found.id) or found).state
        flash(f"The delivery is {now} meanwhile. Only failed deliveries can be dismissed.", "info")
    connection = request.form.get("connection") or None
    return redirect(url_for("admin.deliveries", state=request.form.get("state", ""), connection=connection))


@bp.get("/spend")
@requires(UserRole.MERCHANDISER)
def spend() -> ResponseReturnValue:
    """Show the cost of providers and the use of their caps."""
    s = services()
    return render_template(
        "spend.html",
        budgets={name: budgets(s, name) for name in s.rules.current().provider},
        unknown=s.spend.tasks_in_state("unknown"),
        waiting=s.spend.tasks_in_state("waiting"),
        paused={name: s.notes.get(PAUSE_NOTE_PREFIX + name) for name in s.rules.current().provider},
        tables=list(s.spend.totals("batch", "category", "deliverable").items()),
        labels={b.id: b.name for b in s.batches.page(limit=200)},
    )


@bp.get("/rules")
@requires(UserRole.VIEWER)
def rules() -> ResponseReturnValue:
    """Show the rules in force, and the errors of a plugin.json that was refused; to admins its notes too."""
    current = services().rules.current()
    is_admin = signed_in_user().role.includes(UserRole.ADMIN)
    return render_template(
        "rules.html",
        rules=current,
        problem=services().rules.problem,
        text=services().rules_archive.get(current.fingerprint) or "",
        pending=services().rules.pending,
        notes=_notes(current) if is_admin else (),
        effect=list(effect_lines(_effect())) if is_admin and "effect" in request.args else None,
        fingerprint=(services().rules.pending or current).fingerprint,
        progress=rules_change.progress(services()),
        mode=current.changes.apply,
    )


def _notes(current: Rules) -> list[str]:
    """Return remarks on the rules in force and on those that wait, each once."""
    users = services().users.all()
    waiting = services().rules.pending
    both = (current, waiting) if waiting else (current,)
    return list(dict.fromkeys(n for rules in both for n in rules_check.remarks(services(), rules, users)))


def _effect() -> RulesEffect:
    return rules_change.plan_change(services(), most_products=rules_change.MOST_PLANNED)


@bp.post("/rules/apply")
@requires(UserRole.ADMIN)
def apply_rules() -> ResponseReturnValue:
    """Apply plugin.json to what exists, if it is still the one whose effect was shown."""
    try:
        rules_change.apply_rules(
            services(), by=signed_in_user().name, fingerprint=request.form.get("fingerprint", "")
        )
    except (ConfigError, StateConflict) as error:
        flash(f"Not applied: {error}", "error")
    else:
        flash("plugin.json is being applied in the background.", "info")
    return redirect(url_for("admin.rules"))


@bp.get("/connections")
@requires(UserRole.VIEWER)
def connections() -> ResponseReturnValue:
    """Show the connections and the differences that the last comparison found."""
    s = services()
    rules = s.rules.current()
    compared_at, count, differences = reconciliation.last_result(s)
    return render_template(
        "connections.html",
        ports={port: getattr(rules, port) for port in PORTS},
        purposes=PORT_PURPOSES,
        guides=documents(),
        webhook_ports=WEBHOOK_PORTS,
        public=s.settings.base_url,
        contacts=last_deliveries(s),
        tests=connection_tests.last_tests(s),
        compared_at=compared_at,
        count=count,
        differences=differences,
        is_requested=reconciliation.is_requested(s),
        every_hours=rules.reconcile.every_hours,
    )


@bp.post("/connections/<name>/test")
@requires(UserRole.ADMIN)
def test_connection(name: str) -> ResponseReturnValue:
    """Test a connection as `dam-connector connection test` does; the page shows the result beside it."""
    if not any(name in getattr(services().rules.current(), port) for port in PORTS):
        flash(f"plugin.json has no connection {name!r} any more.", "info")
        return redirect(url_for("admin.connections"))
    with suppress(AdapterError, ConfigError):  # stored as the result
        list(connection_tests.run_test(services(), name, by=signed_in_user().name))
    return redirect(url_for("admin.connections", _anchor=f"connection-{name}"))


@bp.post("/connections/mend")
@requires(UserRole.ADMIN)
def repair() -> ResponseReturnValue:
    """Repair one difference that the last comparison found."""
    form = request.form
    try:
        found = (form.get("where", ""), form.get("ref", ""), form.get("kind", ""))
        message = reconciliation.repair_found(services(), *found, by=signed_in_user().name)
        flash(message, "info")
    except NotFound:
        flash("The last comparison did not find this difference. Compare again.", "error")
    except (AdapterError, ConfigError) as error:
        flash(f"Not repaired: {error}. Test the connection, then compare again.", "error")
    return redirect(url_for("admin.connections"))
