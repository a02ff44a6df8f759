"""The endpoint of the API for what shoppers did on the AR page."""

from typing import Any

from dam_connector.store.users import UserRole
from dam_connector.web.api.blueprint import bp
from dam_connector.web.request_context import requires, services
from schemas import api_admin as s


@bp.get("/ar-counts")
@requires(UserRole.ADMIN)
@bp.arguments(s.ArCountArgs, location="query")
@bp.response(200, s.ArCountsOut)
def ar_counts(args: dict[str, Any]) -> dict[str, Any]:
    """List views and AR starts on the AR page by version, the most viewed first.

    They are counted while `viewer.count` of plugin.json is true.
    """
    counted = services().rules.current().viewer.count
    return {"counted": counted, "items": services().ar_counts.of(args["sku"])}
