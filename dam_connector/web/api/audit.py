"""Endpoint of the API for the audit log."""

from typing import Any

from flask import abort

from dam_connector.store.users import UserRole
from dam_connector.web.api.blueprint import bp
from dam_connector.web.request_context import requires, services
from schemas import api as s


@bp.get("/audit")
@requires(UserRole.ADMIN)
@bp.arguments(s.PageArgs, location="query")
@bp.response(200, s.page_of(s.AuditEntryOut))
def audit(args: dict[str, Any]) -> dict[str, Any]:
    """List the actions of people, newest first."""
    try:
        found = services().audit.page(before=args["cursor"], limit=args["limit"])
    except ValueError:
        abort(400, "this cursor is not one of the audit log")
    return {"items": found, "next": found[-1].cursor if len(found) == args["limit"] else None}
