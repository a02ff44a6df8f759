"""Endpoints of the API for finished files that become first versions."""

from typing import Any

from flask import abort

from dam_connector.errors import AdapterError, Busy, ConfigError
from dam_connector.store.users import UserRole
from dam_connector.usecases import adopt_known_products
from dam_connector.web.api.blueprint import bp
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas import api_admin as s

MOST_ROWS = 2000


@bp.get("/adoption")
@requires(UserRole.VIEWER)
@bp.response(200, s.AdoptionOut)
def adoption() -> dict[str, Any]:
    """Return how far the adoption of finished files came that was begun last."""
    return {"progress": adopt_known_products.adoption_progress(services())}


@bp.get("/adoption/plan")
@requires(UserRole.ADMIN)
@bp.arguments(s.AdoptionPlanArgs, location="query")
@bp.response(200, s.AdoptionPlanOut)
def plan_adoption(args: dict[str, Any]) -> dict[str, Any]:
    """Return which finished files would become V1 of the known products. Nothing changes.

    One call reads some hundred products; `next` goes on. While another call reads, the answer is 409.
    """
    try:
        plan = adopt_known_products.preview(services(), most_rows=MOST_ROWS, before=args["cursor"])
    except Busy:
        raise
    except (AdapterError, ConfigError) as error:
        none = dict.fromkeys(("products", "files", "adoptable", "blocked", "waiting"), 0)
        return {**none, "next": "", "rows": [], "problem": str(error)}
    return {**plan, "problem": ""}


@bp.post("/adoption")
@requires(UserRole.ADMIN)
@bp.response(202, s.AdoptionOut)
def begin_adoption() -> dict[str, Any]:
    """Adopt finished files for the known products in the background; a repeat adopts nothing twice."""
    try:
        adopt_known_products.request_adoption(services(), by=signed_in_user().name)
    except ConfigError as error:
        abort(409, str(error))
    return {"progress": adopt_known_products.adoption_progress(services())}


@bp.post("/adoption/checks")
@requires(UserRole.ADMIN)
@bp.arguments(s.AdoptionPlanArgs, location="query")
@bp.response(202, s.AdoptionChecksOut)
def check_adoption(args: dict[str, Any]) -> dict[str, Any]:
    """Let workers check the finished files that would be adopted. The plan shows the results.

    One call takes some hundred products; `next` goes on.
    """
    try:
        return adopt_known_products.request_checks(
            services(),
            by=signed_in_user().name,
            before=args["cursor"],
            limit=adopt_known_products.PlanLimit(),
        )
    except Busy:
        raise
    except (AdapterError, ConfigError) as error:
        abort(409, str(error))
