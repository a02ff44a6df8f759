"""Connections: what is connected, and where it drifted apart from our records."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.errors import AdapterError, ConfigError
from dam_connector.store.users import UserRole
from dam_connector.usecases import reconciliation
from dam_connector.usecases.connections import PORTS
from dam_connector.web.request_context import requires, services

bp = Blueprint("connections", __name__)
KINDS = {
    "pim": "Where products come from",
    "dam": "Where assets lie and are reviewed",
    "channel": "Where they go live",
    "provider": "Who generates",
}
SENDERS = ("pim", "dam", "provider")  # that may send webhooks


@bp.get("/connections")
@requires(UserRole.VIEWER)
def overview() -> ResponseReturnValue:
    s = services()
    rules = s.rules.current()
    at, count, found = reconciliation.kept(s)
    return render_template(
        "connections.html",
        ports={port: getattr(rules, port) for port in PORTS},
        words=KINDS,
        senders=SENDERS,
        public=s.settings.public,
        at=at,
        count=count,
        found=found,
        every=rules.reconcile.every_hours,
    )


@bp.post("/connections/mend")
@requires(UserRole.ADMIN)
def mend() -> ResponseReturnValue:
    """Put one finding of the last comparison right."""
    s = services()
    _, _, found = reconciliation.kept(s)
    wanted = (request.form.get("where"), request.form.get("ref"), request.form.get("kind"))
    drift = next((d for d in found if (d.where, d.ref, d.kind.value) == wanted), None)
    if drift is None:
        flash("It is not among what was found last.", "error")
        return redirect(url_for("connections.overview"))
    try:
        flash(reconciliation.mend(s, drift), "info")
        reconciliation.keep(s, [d for d in found if d != drift])
    except (AdapterError, ConfigError) as error:
        flash(f"Not mended: {error}", "error")
    return redirect(url_for("connections.overview"))
