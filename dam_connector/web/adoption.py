"""The page of finished files that would become first versions."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.errors import AdapterError, ConfigError, StateConflict
from dam_connector.store.users import UserRole
from dam_connector.usecases import adopt_known_products
from dam_connector.web.request_context import requires, services, signed_in_user

bp = Blueprint("adoption", __name__)
MOST_ROWS = 500


@bp.get("/adoption")
@requires(UserRole.ADMIN)
def index() -> ResponseReturnValue:
    """Show how far the last adoption came and, on request, what would be adopted."""
    found, problem = None, ""
    if "files" in request.args:
        try:
            found = adopt_known_products.preview(
                services(), most_rows=MOST_ROWS, before=request.args.get("before", "")
            )
        except (AdapterError, ConfigError) as error:
            problem = str(error)
    return render_template(
        "adoption.html",
        rules=services().rules.current().adopt,
        found=found,
        problem=problem,
        before=request.args.get("before", ""),
        progress=adopt_known_products.adoption_progress(services()),
    )


@bp.post("/adoption")
@requires(UserRole.ADMIN)
def begin() -> ResponseReturnValue:
    """Adopt finished files for the known products in the background."""
    try:
        adopt_known_products.request_adoption(services(), by=signed_in_user().name)
    except (ConfigError, StateConflict) as error:
        flash(f"Not begun: {error}", "error")
    else:
        flash("Finished files are being adopted in the background.", "info")
    return redirect(url_for("adoption.index"))


@bp.post("/adoption/checks")
@requires(UserRole.ADMIN)
def check() -> ResponseReturnValue:
    """Let workers check the finished files that would be adopted."""
    before = request.form.get("before", "")
    try:
        found = adopt_known_products.request_checks(
            services(), by=signed_in_user().name, before=before, limit=adopt_known_products.PlanLimit()
        )
    except (AdapterError, ConfigError) as error:  # also that the plan is being read already
        flash(f"Not begun: {error}", "error")
    else:
        flash(f"{found['requested']} files are being checked.", "info")
    return redirect(url_for("adoption.index", files=1, before=before or None))
